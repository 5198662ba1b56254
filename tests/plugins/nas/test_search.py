from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from harness_nas.search import RandomArchitecture, RandomSearch, architectures_of
from torch import Tensor, nn

from harness import HarnessError, Network, Problem, Recipe, Split, Trained
from harness.streams import random

BEST = (2, 3, 1)


class Planted(nn.Module):
    """Right on a share of inputs that grows with the number of edges where the architecture is the planted one."""

    def __init__(self, architecture: Sequence[int] | None = None) -> None:
        super().__init__()
        self.architecture = architecture
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        assert self.architecture is not None
        share = (1 + sum(a == b for a, b in zip(self.architecture, BEST, strict=True))) / 5 + self.shift
        return torch.stack([share - x[:, 0], x[:, 0] - share], dim=1)


class FakeContext:
    """Counts what is trained, and trains nothing."""

    def __init__(self, seed: int, shift: float = 0.0) -> None:
        self.seed, self.shift = seed, shift
        self.recipe: Recipe | None = Recipe({"model": Network(Planted)}, {}, {}, ())
        self.trained: list[Any] = []

    def random(self, name: str) -> np.random.Generator:
        return random(self.seed, f"method/{name}")

    def artifact(self, name: str) -> dict[str, np.ndarray]:
        assert name == "supernet"
        return {"model/shift": np.float32(self.shift), "model/unused": np.zeros(3)}

    def train(self, recipe: Recipe) -> Trained:
        self.trained.append(recipe.networks["model"].options["architecture"])
        return Trained(recipe.networks, {"model": {"shift": np.float32(0)}}, recipe, {"loss": [1.0]})


def problem(**info: Any) -> Problem:
    x = np.linspace(0.005, 0.995, 100, dtype=np.float32)[:, None]
    splits = {"train": Split(x), "validation": Split(x, np.zeros(100, dtype=np.int64))}
    return Problem("classification", splits, classes=2, info={"operations": 5, "edges": 3, **info})


def chosen(trained: Any) -> tuple[int, ...]:
    return tuple(trained.networks["model"].options["architecture"])


@pytest.mark.parametrize("seed", range(3))
def test_searching_everything_finds_the_planted_best(seed: int) -> None:
    context: Any = FakeContext(seed)
    found = RandomSearch(candidates=125).fit(problem(), context)
    assert chosen(found) == BEST
    assert context.trained == [BEST]
    assert len(found.history["candidate_accuracy"]) == 125
    assert max(found.history["candidate_accuracy"]) == pytest.approx(0.8)
    assert found.history["loss"] == [1.0]


def test_the_best_of_the_candidates_is_taken_and_more_are_not_worse() -> None:
    scores = []
    for count in (1, 5, 30, 125):
        context: Any = FakeContext(7)
        found = RandomSearch(candidates=count).fit(problem(), context)
        accuracies = found.history["candidate_accuracy"]
        assert len(accuracies) == count
        matches = sum(a == b for a, b in zip(chosen(found), BEST, strict=True))
        assert max(accuracies) == pytest.approx((1 + matches) / 5)
        scores.append(max(accuracies))
    # the same stream: a longer search starts with the shorter one
    assert scores == sorted(scores)
    assert scores[-1] > scores[0]


def test_of_equals_the_first_drawn_is_taken() -> None:
    # a shift that makes all of them perfect
    context: Any = FakeContext(3, shift=5.0)
    first: Any = FakeContext(3, shift=5.0)
    many = RandomSearch(candidates=40).fit(problem(), context)
    assert chosen(many) == chosen(RandomSearch(candidates=1).fit(problem(), first))
    assert set(many.history["candidate_accuracy"]) == {1.0}


def test_the_stream_decides_and_nothing_else() -> None:
    contexts: list[Any] = [FakeContext(0), FakeContext(0), FakeContext(1)]
    curves = [RandomSearch(20).fit(problem(), context).history["candidate_accuracy"] for context in contexts]
    assert curves[0] == curves[1]
    assert curves[0] != curves[2]
    baseline: list[Any] = [FakeContext(seed) for seed in (0, 0, 1, 2, 3)]
    picks = [chosen(RandomArchitecture().fit(problem(), context)) for context in baseline]
    assert picks[0] == picks[1]
    assert len(set(picks)) > 1


def test_candidates_are_different() -> None:
    context: Any = FakeContext(0)
    small = problem(operations=2, edges=3)
    assert len(architectures_of(small)) == len(set(architectures_of(small))) == 8
    found = RandomSearch(candidates=8).fit(small, context)
    # every match count from the 8 architectures: (1 + k) / 5 with k matches on the only reachable edge
    assert sorted(set(np.round(found.history["candidate_accuracy"], 2))) == [0.2, 0.4]


@pytest.mark.parametrize("candidates", [0, -1, 2.0, True, "3"])
def test_wrong_candidates_are_an_error(candidates: Any) -> None:
    with pytest.raises(HarnessError, match="integer >= 1"):
        RandomSearch(candidates=candidates)


def test_wrong_tasks_are_errors() -> None:
    context: Any = FakeContext(0)
    with pytest.raises(HarnessError, match="cannot draw 126 of 125"):
        RandomSearch(126).fit(problem(), context)
    for method in (RandomSearch(), RandomArchitecture()):
        with pytest.raises(HarnessError, match="no search space"):
            method.fit(Problem("classification"), context)
    unlabelled = problem()
    hidden = Problem("classification", {"validation": Split(unlabelled.validation.x)}, info=unlabelled.info)
    with pytest.raises(HarnessError, match="needs labels in the validation split"):
        RandomSearch(1).fit(hidden, context)
    context.recipe = None
    for method in (RandomSearch(), RandomArchitecture()):
        with pytest.raises(HarnessError, match="offers its recipe"):
            method.fit(problem(), context)
    bare: Any = FakeContext(0)
    bare.artifact = lambda name: {}
    with pytest.raises(HarnessError, match="no weights 'model/shift'"):
        RandomSearch(1).fit(problem(), bare)
