from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from harness_nas.cell import EDGES, OPERATIONS, CellNetwork, Operation
from harness_nas.models import CANVAS, NOISE, ROOM, SIDE, recipe, redrawn
from harness_nas.search import RandomArchitecture, RandomSearch, inherit
from harness_nas.tasks import SupernetCellDigits, paste
from torch.nn import functional

from harness import HarnessError, Learner
from harness.nn.random import mix, normal, uniform

TASK = SupernetCellDigits()
NONE, SKIP, CONV1, CONV3, POOL = range(5)


class Quiet:
    """Draws of a view: fixed places, no noise."""

    def __init__(self, place: float = 0.5, noise: float = 0.0) -> None:
        self.place, self.noise = place, noise

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.full(shape, self.place)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.full(shape, self.noise)


class Seeded:
    """Draws of a view from the harness's generator."""

    def uniform(self, shape: tuple[int, ...]) -> torch.Tensor:
        return uniform(mix(torch.tensor(0), 5), shape, torch.float32)

    def normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return normal(mix(torch.tensor(0), 6), shape, torch.float32)


class Constant(Learner):
    """Brings a predictor of its own, of no architecture."""

    def fit(self, problem: Any, context: Any) -> Any:
        class Zero:
            def predict(self, x: np.ndarray) -> dict[str, np.ndarray]:
                return {"logits": np.zeros((len(x), 10))}

        return Zero()


def images(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 1, CANVAS, CANVAS, generator=torch.Generator().manual_seed(0))


def test_the_cell_is_the_sum_over_its_paths() -> None:
    torch.manual_seed(0)
    network = CellNetwork(cells=1)
    cell, x = network.cells[0], torch.randn(4, 16, 6, 6)

    def kernel(edge: int, name: str, at: torch.Tensor) -> torch.Tensor:
        operation = cell.edges[edge].kernels[name]
        assert isinstance(operation, Operation)
        return functional.batch_norm(
            functional.conv2d(at.relu(), operation.conv.weight, padding="same"), None, None, training=True
        )

    expected = {
        (NONE, NONE, NONE): torch.zeros_like(x),
        (SKIP, SKIP, SKIP): 2 * x,
        (SKIP, NONE, POOL): functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
        (CONV3, SKIP, CONV1): x + kernel(2, "conv1x1", kernel(0, "conv3x3", x)),
        (NONE, CONV1, SKIP): kernel(1, "conv1x1", x),
    }
    for path, value in expected.items():
        torch.testing.assert_close(cell(x, path), value)


def test_an_architecture_has_its_share_of_the_supernets_parameters() -> None:
    supernet = dict(CellNetwork().named_parameters())
    for architecture in ((NONE, SKIP, POOL), (CONV1, CONV3, CONV3)):
        own = dict(CellNetwork(architecture).named_parameters())
        assert set(own) < set(supernet)
        assert all(own[name].shape == supernet[name].shape for name in own)
        kernels = {name for name in own if ".kernels." in name}
        assert len(kernels) == 3 * 2 * sum(operation in (CONV1, CONV3) for operation in architecture)


def test_the_supernet_draws_paths_uniformly_and_anew() -> None:
    network = CellNetwork().train()
    drawn = np.array([network.path(torch.zeros(1)) for _ in range(2000)])
    assert drawn.shape == (2000, EDGES)
    for edge in range(EDGES):
        shares = np.bincount(drawn[:, edge], minlength=len(OPERATIONS)) / 2000
        # five standard errors
        assert np.abs(shares - 0.2).max() < 5 * np.sqrt(0.16 / 2000)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.12
    assert len({tuple(path) for path in drawn}) == 125


def test_a_training_pass_of_the_supernet_is_one_path() -> None:
    network = CellNetwork().train()
    network.path.stream_counter.fill_(0)
    path = network.path(images())
    network.path.stream_counter.fill_(0)
    got = network(images()).logits
    alone = CellNetwork(path).train()
    own = dict(alone.named_parameters())
    alone.load_state_dict({k: v for k, v in network.state_dict().items() if k in own})
    torch.testing.assert_close(got, alone(images()).logits)


def test_the_supernet_cannot_be_evaluated_without_an_architecture() -> None:
    with pytest.raises(HarnessError, match="set the option 'architecture'"):
        CellNetwork().eval()(images())
    for wrong in ((0, 1), (0, 1, 5), (0, -1, 2)):
        with pytest.raises(HarnessError, match="3 numbers from 0 to 4"):
            CellNetwork(wrong)


def test_prepare_is_deterministic_and_hides_the_labels() -> None:
    (one, hidden), (again, _), (other, _) = (TASK.prepare("small", seed) for seed in (3, 3, 4))
    for name, split in one.splits.items():
        np.testing.assert_array_equal(split.x, again.splits[name].x)
        assert not np.array_equal(split.x, other.splits[name].x)
        assert not np.array_equal(split.y, hidden["labels"])
    assert (len(one.train), len(one.validation), len(hidden["labels"])) == (600, 297, 500)
    assert one.inputs["test"].shape == (500, 1, CANVAS, CANVAS)


def test_a_fifth_of_the_training_labels_is_wrong() -> None:
    noisy, _ = TASK.prepare("small", 0)
    clean, _ = SupernetCellDigits(noise=0.0).prepare("small", 0)
    np.testing.assert_array_equal(noisy.train.x, clean.train.x)
    np.testing.assert_array_equal(noisy.validation.y, clean.validation.y)
    assert float((noisy.train.y != clean.train.y).mean()) == pytest.approx(0.2, abs=0.05)
    for wrong in (-0.1, 1.0, "x"):
        with pytest.raises(HarnessError, match=r"noise is .*; expected a number of at least 0 and below 1"):
            SupernetCellDigits(noise=wrong)  # type: ignore[arg-type]


def test_the_view_moves_whole_digits_and_adds_noise() -> None:
    digits = np.random.default_rng(0).random((40, SIDE, SIDE)).astype(np.float32)
    centred = torch.tensor(paste(digits, np.full((40, 2), ROOM // 2)))
    for place, corner in ((0.0, 0), (0.5, 2), (0.999, ROOM)):
        moved = redrawn(centred, Quiet(place)).numpy()  # type: ignore[arg-type]
        np.testing.assert_array_equal(moved, paste(digits, np.full((40, 2), corner)))
    noisy = redrawn(centred, Quiet(0.5, 1.0))  # type: ignore[arg-type]
    torch.testing.assert_close(noisy - centred, torch.full_like(centred, NOISE))
    random = redrawn(centred.repeat(50, 1, 1, 1), Seeded()).numpy()  # type: ignore[arg-type]
    rows = (random > 4 * NOISE).any(axis=(1, 3)).argmax(axis=1)
    assert set(range(ROOM + 1)) <= set(rows.tolist())
    still = redrawn(torch.zeros(200, 1, CANVAS, CANVAS), Seeded())  # type: ignore[arg-type]
    assert float(still.std()) == pytest.approx(NOISE, rel=0.02)


def test_a_trial_from_supernet_to_score(play: Any) -> None:
    played = play(TASK, RandomSearch(candidates=10))
    again = play(TASK, RandomSearch(candidates=10))
    assert {k: v.tobytes() for k, v in played.outputs.items()} == {k: v.tobytes() for k, v in again.outputs.items()}
    floor = TASK.floor(played.hidden)
    assert played.values["accuracy"] > floor["accuracy"] + 0.1
    assert played.values["evaluations"] == 10
    assert set(played.values) == {metric.name for metric in TASK.metrics}
    accuracies = played.outputs["candidate_accuracy"]
    assert len(accuracies) == 10
    assert accuracies.max() > accuracies.min()
    assert all(0 <= operation < len(OPERATIONS) for operation in played.outputs["architecture"])
    one = play(TASK, RandomArchitecture())
    assert one.values["evaluations"] == 0
    # equal training for the network that is returned
    assert one.context.record.spent.steps == played.context.record.spent.steps


def test_an_inherited_network_predicts_with_the_supernets_weights(bench: Any) -> None:
    problem, _ = TASK.prepare("smoke", 0)
    context = bench.context(TASK, problem, "smoke", 0, "float32")
    supernet, how = context.artifact("supernet"), recipe(problem)
    first = dict(CellNetwork().named_parameters())
    assert set(supernet) == {f"model/{name}" for name in first}
    inherited = inherit(supernet, how, (CONV3, SKIP, CONV1))
    for name, value in inherited.weights["model"].items():
        np.testing.assert_array_equal(value, supernet[f"model/{name}"])
    logits = inherited.predict(problem.validation.x)["logits"]
    assert logits.shape == (100, 10)
    # an architecture of only zeros says the same for all inputs
    silent = inherit(supernet, how, (NONE, NONE, NONE)).predict(problem.validation.x)["logits"]
    np.testing.assert_allclose(silent, np.broadcast_to(silent[0], silent.shape), atol=1e-6)


def test_a_learner_may_bring_its_own_predictor(play: Any) -> None:
    played = play(TASK, Constant())
    assert set(played.values) == {"accuracy"}


@pytest.mark.slow
def test_the_supernet_ranks_better_than_chance(play: Any) -> None:
    gains = []
    for seed in range(5):
        searched = play(TASK, RandomSearch(), scale="small", seed=seed).values["accuracy"]
        drawn = play(TASK, RandomArchitecture(), scale="small", seed=seed).values["accuracy"]
        gains.append(searched - drawn)
    assert np.mean(gains) > 0.05
