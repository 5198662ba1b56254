from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness_quantization.full_precision import FullPrecision
from harness_quantization.round_to_nearest import RoundToNearest, quantize
from harness_quantization.tasks import DRAWS, PTQWeights, bits_used, output_error, relative_error

from harness import HarnessError, Transform

TASKS = [PTQWeights("tensors"), PTQWeights("cnn")]
IDS = ["tensors", "cnn"]


class Smaller(Transform):
    """Drops rows of a matrix: a model whose weights cannot be compared."""

    def transform(self, trained: Any, problem: Any, context: Any) -> Any:
        name = next(iter(trained.weights["model"]))
        return trained.with_weights({name: trained.weights["model"][name][:-1]})


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_prepare_is_deterministic_and_depends_on_the_seed(task: PTQWeights) -> None:
    (one, hidden), (again, hidden_again), (other, _) = (task.prepare("smoke", seed) for seed in (3, 3, 4))
    for name, split in one.splits.items():
        np.testing.assert_array_equal(split.x, again.splits[name].x)
        assert not np.array_equal(split.x, other.splits[name].x)
    np.testing.assert_array_equal(one.inputs["test"], again.inputs["test"])
    assert {k: v.tobytes() for k, v in hidden.items()} == {k: v.tobytes() for k, v in hidden_again.items()}
    assert len(one.splits["calibration"]) == 256


def test_the_small_scale_is_the_published_setting() -> None:
    problem, _ = PTQWeights("tensors").prepare("small", 0)
    assert set(problem.info["tensors"]) == set(DRAWS)
    assert all(problem.splits[name].x.size == 20_000 for name in DRAWS)
    # shares of variance beyond two deviations tell the four families apart
    tails = [float((np.abs(problem.splits[n].x / problem.splits[n].x.std()) > 2).mean()) for n in ("uniform", "normal")]
    assert tails[0] == 0
    assert tails[1] == pytest.approx(0.0455, abs=0.006)
    kurtosis = {n: float(((problem.splits[n].x / problem.splits[n].x.std()) ** 4).mean()) for n in DRAWS}
    assert kurtosis["uniform"] == pytest.approx(1.8, abs=0.05)
    assert kurtosis["laplace"] == pytest.approx(6, abs=1.0)
    assert kurtosis["t3"] > 8
    images, hidden = PTQWeights("cnn").prepare("small", 0)
    assert (len(images.train), len(images.validation), len(hidden["labels"])) == (1000, 297, 500)


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_rounding_lies_between_float_and_the_floor(play: Any, task: PTQWeights) -> None:
    exact, rounded = play(task, FullPrecision()), play(task, RoundToNearest())
    floor = task.floor(rounded.hidden)
    assert exact.values["output_mse"] == exact.values["weight_mse"] == 0
    for name in ("output_mse", "weight_mse"):
        assert 0 < rounded.values[name] < floor[name]
    assert rounded.values["bits_used"] <= 4 < exact.values["bits_used"]
    known = {metric.name for metric in task.metrics}
    assert set(rounded.values) <= known
    if task.model == "cnn":
        assert exact.values["accuracy"] > 0.7 > floor["accuracy"]
        assert list(rounded.values["layer_mse"]) == [f"layer={i}" for i in range(1, 5)]
    else:
        errors = [rounded.values[f"weight_mse_{name}"] for name in ("uniform", "normal", "t3")]
        assert errors == sorted(errors)


@pytest.mark.parametrize("task", TASKS, ids=IDS)
def test_more_bits_lose_less(play: Any, task: PTQWeights) -> None:
    errors = [play(PTQWeights(task.model, bits), RoundToNearest()).values["output_mse"] for bits in (2, 4, 8)]
    assert errors[0] > errors[1] > errors[2] > 0


def test_outputs_record_the_weights_that_were_made(play: Any) -> None:
    played = play(PTQWeights("tensors", 3), RoundToNearest())
    for name in DRAWS:
        original = played.problem.splits[name].x
        np.testing.assert_array_equal(played.outputs[f"original/{name}"], original)
        np.testing.assert_array_equal(played.outputs[f"quantized/{name}"], quantize(original, 3))
    x = played.problem.inputs["test"]
    expected = np.concatenate([x @ played.outputs[f"quantized/{name}"].T for name in DRAWS], axis=1)
    np.testing.assert_allclose(played.outputs["logits"], expected, rtol=1e-4, atol=1e-4)


def test_outputs_do_not_depend_on_hidden_labels(play: Any) -> None:
    class Permuted(PTQWeights):
        def prepare(self, scale: str, seed: int) -> Any:
            problem, hidden = super().prepare(scale, seed)
            return problem, {"labels": hidden["labels"][::-1].copy()}

    plain, permuted = play(PTQWeights("cnn"), RoundToNearest()), play(Permuted("cnn"), RoundToNearest())
    assert {k: v.tobytes() for k, v in plain.outputs.items()} == {k: v.tobytes() for k, v in permuted.outputs.items()}
    assert plain.values["accuracy"] > permuted.values["accuracy"]
    assert not any(np.array_equal(split.y, plain.hidden["labels"]) for split in plain.problem.splits.values())


def test_variants_with_other_bits_share_the_trained_network(bench: Any, play: Any) -> None:
    three, four = (play(PTQWeights("cnn", bits), FullPrecision()).outputs for bits in (3, 4))
    assert {k: v.tobytes() for k, v in three.items()} == {k: v.tobytes() for k, v in four.items()}


def test_errors_by_hand() -> None:
    weight, changed = np.array([[3.0, 4.0]]), np.array([[3.0, 3.0]])
    assert relative_error(weight, changed) == pytest.approx(1 / 25)
    assert relative_error(np.zeros((1, 2)), np.zeros((1, 2))) == 0
    outputs = np.array([[0.0, 1.0], [2.0, 1.0]])
    # the second output never varies and is left out; a constant answer at the mean scores 1
    assert output_error(outputs, np.array([[1.0, 5.0], [1.0, 5.0]])) == pytest.approx(1.0)
    assert bits_used(np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 2.0, 3.0, 4.0]])) == 2.0


def test_wrong_input_is_an_error(play: Any) -> None:
    with pytest.raises(HarnessError, match="known: tensors, cnn"):
        PTQWeights("mlp")  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="from 2 to 16"):
        PTQWeights(bits=1)
    with pytest.raises(HarnessError, match="no weight 'normal' of shape"):
        play(PTQWeights("tensors"), Smaller())
