from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness_pruning.magnitude import Dense, OneShotMagnitude, RandomPrune
from harness_pruning.masks import prunable
from harness_pruning.models import base, glorot
from harness_pruning.tasks import OneshotPruneDigits

from harness import HarnessError

TASK = OneshotPruneDigits()


def test_prepare_is_deterministic_and_depends_on_the_seed() -> None:
    (one, hidden), (again, hidden_again), (other, _) = (TASK.prepare("smoke", seed) for seed in (3, 3, 4))
    for name, split in one.splits.items():
        np.testing.assert_array_equal(split.x, again.splits[name].x)
        assert not np.array_equal(split.x, other.splits[name].x)
    np.testing.assert_array_equal(hidden["labels"], hidden_again["labels"])


def test_pre_training_and_fine_tuning_have_different_digits() -> None:
    problem, hidden = TASK.prepare("small", 0)
    assert set(np.unique(problem.splits["pretrain"].y)) == set(range(5))
    assert set(np.unique(problem.train.y)) == set(np.unique(hidden["labels"])) == set(range(5, 10))
    assert (len(problem.splits["pretrain"]), len(problem.train), len(hidden["labels"])) == (900, 150, 600)
    assert not any(np.array_equal(split.y, hidden["labels"]) for split in problem.splits.values())


@pytest.mark.parametrize("method", [OneShotMagnitude, RandomPrune])
def test_masks_stay_zero_through_fine_tuning_and_the_rest_learns(bench: Any, method: Any) -> None:
    task = OneshotPruneDigits(0.8)
    problem, _ = task.prepare("smoke", 0)
    context = bench.context(task, problem, "smoke", 0, "float32")
    original = base(problem, context)
    cut = method(fine_tune_steps=0).transform(original, problem, context)
    tuned = method().transform(original, problem, context)
    for name in prunable(original):
        before, after = cut.weights["model"][name], tuned.weights["model"][name]
        np.testing.assert_array_equal(after[before == 0], 0)
        assert (after[before != 0] != before[before != 0]).mean() > 0.9
    entries = sum(weight.size for weight in prunable(original).values())
    zeros = sum(int((tuned.weights["model"][name] == 0).sum()) for name in prunable(original))
    assert zeros == round(0.8 * entries)
    # a pipeline may fine-tune again: the recipe is the model's own
    assert tuned.recipe is original.recipe


def test_nothing_cut_equals_dense_bit_for_bit(play: Any) -> None:
    dense = play(OneshotPruneDigits(0.0), Dense())
    for method in (OneShotMagnitude(), RandomPrune()):
        assert play(OneshotPruneDigits(0.0), method).outputs["logits"].tobytes() == dense.outputs["logits"].tobytes()
    assert dense.values["zero_share"] == 0


def test_the_share_of_zeros_and_the_loss_of_accuracy(play: Any) -> None:
    floor = TASK.floor(play(TASK, Dense()).hidden)
    half, most = (play(OneshotPruneDigits(s), OneShotMagnitude()).values for s in (0.5, 0.98))
    assert half["zero_share"] == pytest.approx(0.5, abs=1e-4)
    assert most["zero_share"] == pytest.approx(0.98, abs=1e-4)
    dense = play(TASK, Dense()).values["accuracy"]
    assert dense > half["accuracy"] - 0.02 > most["accuracy"]
    assert half["accuracy"] > floor["accuracy"] + 0.3


def test_fine_tuning_is_needed(play: Any) -> None:
    # the base has never seen a 5
    assert play(TASK, Dense(fine_tune_steps=0)).values["accuracy"] == 0
    assert play(TASK, Dense()).context.record.spent.steps == play(TASK, OneShotMagnitude()).context.record.spent.steps


def test_outputs_do_not_depend_on_hidden_labels(play: Any) -> None:
    class Permuted(OneshotPruneDigits):
        def prepare(self, scale: str, seed: int) -> Any:
            problem, hidden = super().prepare(scale, seed)
            return problem, {"labels": hidden["labels"][::-1].copy()}

    plain, permuted = play(TASK, OneShotMagnitude()), play(Permuted(), OneShotMagnitude())
    assert {k: v.tobytes() for k, v in plain.outputs.items()} == {k: v.tobytes() for k, v in permuted.outputs.items()}
    assert plain.values["accuracy"] > permuted.values["accuracy"]


def test_initial_values_are_glorots(bench: Any) -> None:
    problem, _ = TASK.prepare("smoke", 0)
    start = glorot(bench.context(TASK, problem, "smoke", 0, "float32"))
    assert start["body.0.weight"].std() == pytest.approx(np.sqrt(2 / 364), rel=0.03)
    assert start["body.2.weight"].std() == pytest.approx(np.sqrt(2 / 400), rel=0.03)
    assert all((value == 0).all() for name, value in start.items() if name.endswith("bias"))


def test_wrong_sparsity_is_an_error() -> None:
    with pytest.raises(HarnessError, match="from 0 to 1"):
        OneshotPruneDigits(1.5)
