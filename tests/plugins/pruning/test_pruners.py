from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from harness_pruning.magnitude import Dense, OneShotMagnitude, RandomPrune
from harness_pruning.masks import cut, prunable
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from harness import HarnessError, Network, Problem, Trained
from harness.nn import CNN, MLP
from harness.streams import random

PROBLEM = Problem("classification")
BARE: Any = SimpleNamespace(random=lambda name: random(0, f"method/{name}"))


class Reader(nn.Module):
    """An embedding, a normalisation and two matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm((3, 4))
        self.body = nn.Linear(4, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.body(self.norm(self.words(x)))).mean(1))


def model(factory: Any = MLP, **options: Any) -> Trained:
    options = options or ({"inputs": 6, "widths": (8, 7), "classes": 3} if factory is MLP else {})
    torch.manual_seed(0)
    state = factory(**options).state_dict()
    weights = {name: value.numpy().copy() for name, value in state.items()}
    return Trained({"model": Network(factory, options)}, {"model": weights})


def zeros(trained: Trained, names: list[str]) -> int:
    return sum(int((trained.weights["model"][name] == 0).sum()) for name in names)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1000), st.floats(0, 1))
def test_the_number_of_zeros_is_exact(seed: int, sparsity: float) -> None:
    draws = np.random.default_rng(seed)
    # many equal scores: ties must not change the count
    scores = {"a": draws.integers(0, 3, (3, 5)).astype(float), "b": draws.integers(0, 3, (4,)).astype(float)}
    masks = cut(scores, sparsity)
    assert sum(int((mask == 0).sum()) for mask in masks.values()) == round(sparsity * 19)
    removed = np.concatenate([scores[name][masks[name] == 0] for name in scores])
    kept = np.concatenate([scores[name][masks[name] == 1] for name in scores])
    if len(removed) and len(kept):
        assert removed.max() <= kept.min()


def test_halves_are_rounded_to_the_even_number() -> None:
    for entries, expected in ((5, 2), (7, 4)):
        (mask,) = cut({"a": np.arange(entries, dtype=float)}, 0.5).values()
        assert (mask == 0).sum() == expected


def test_the_smallest_weights_of_all_layers_jointly_are_cut() -> None:
    trained = model()
    pruned = OneShotMagnitude(sparsity=0.5, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    names = list(prunable(trained))
    before = np.concatenate([np.abs(trained.weights["model"][name]).ravel() for name in names])
    after = np.concatenate([np.abs(pruned.weights["model"][name]).ravel() for name in names])
    assert (after == 0).sum() == round(0.5 * len(before))
    assert before[after == 0].max() <= before[after != 0].min()
    np.testing.assert_array_equal(before[after != 0], after[after != 0])


@pytest.mark.parametrize(
    ("factory", "expected"),
    [
        (MLP, ["body.0.weight", "body.2.weight"]),
        (CNN, ["blocks.0.conv.weight", "blocks.1.conv.weight", "blocks.2.conv.weight"]),
        (Reader, ["body.weight"]),
    ],
)
def test_excluded_tensors_are_never_touched(factory: Any, expected: list[str]) -> None:
    trained = model(factory)
    assert list(prunable(trained)) == expected
    for method in (OneShotMagnitude, RandomPrune):
        pruned = method(sparsity=0.9, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
        for name, value in trained.weights["model"].items():
            if name not in expected:
                np.testing.assert_array_equal(value, pruned.weights["model"][name])


def test_the_ends_of_the_range() -> None:
    trained = model()
    same = OneShotMagnitude(sparsity=0.0, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    for name, value in trained.weights["model"].items():
        np.testing.assert_array_equal(value, same.weights["model"][name])
    gone = OneShotMagnitude(sparsity=1.0, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    assert zeros(gone, list(prunable(trained))) == 6 * 8 + 8 * 7
    assert Dense(fine_tune_steps=0).transform(trained, PROBLEM, BARE) is trained


def test_random_prune_cuts_as_many_and_others() -> None:
    trained = model()
    names = list(prunable(trained))
    random_one = RandomPrune(sparsity=0.3, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    by_size = OneShotMagnitude(sparsity=0.3, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    assert zeros(random_one, names) == zeros(by_size, names) == round(0.3 * 104)
    again = RandomPrune(sparsity=0.3, fine_tune_steps=0).transform(trained, PROBLEM, BARE)
    other: Any = SimpleNamespace(random=lambda name: random(1, f"method/{name}"))
    elsewhere = RandomPrune(sparsity=0.3, fine_tune_steps=0).transform(trained, PROBLEM, other)

    def pattern(pruned: Trained) -> np.ndarray:
        return np.concatenate([(pruned.weights["model"][name] == 0).ravel() for name in names])

    assert (pattern(random_one) == pattern(again)).all()
    assert (pattern(random_one) != pattern(elsewhere)).any()
    assert (pattern(random_one) != pattern(by_size)).any()


def test_sparsity_comes_from_the_method_then_from_the_task() -> None:
    trained = model()
    names = list(prunable(trained))
    task = Problem("classification", info={"sparsity": 0.25})
    assert zeros(OneShotMagnitude(fine_tune_steps=0).transform(trained, task, BARE), names) == 26
    assert zeros(OneShotMagnitude(0.5, fine_tune_steps=0).transform(trained, task, BARE), names) == 52
    with pytest.raises(HarnessError, match=r"one-shot-magnitude\[sparsity=0.5\]"):
        OneShotMagnitude().transform(trained, PROBLEM, BARE)


@pytest.mark.parametrize("sparsity", [-0.1, 1.1, float("nan"), "0.5", True])
def test_sparsity_out_of_range_is_an_error(sparsity: Any) -> None:
    with pytest.raises(HarnessError, match="from 0 to 1"):
        OneShotMagnitude(sparsity=sparsity)


def test_other_wrong_input_is_an_error() -> None:
    for method in (OneShotMagnitude, RandomPrune, Dense):
        with pytest.raises(HarnessError, match="integer >= 0"):
            method(fine_tune_steps=-1)
        with pytest.raises(HarnessError, match="needs a model with a recipe"):
            method(**({} if method is Dense else {"sparsity": 0.5})).transform(model(), PROBLEM, BARE)
    with pytest.raises(HarnessError, match="nothing to prune"):
        prunable(model(MLP, inputs=3, widths=(), classes=2))
    broken = model()
    broken = broken.with_weights({"body.0.weight": np.full((8, 6), np.nan)})
    with pytest.raises(HarnessError, match=r"'body.0.weight' has some"):
        OneShotMagnitude(sparsity=0.5).transform(dataclasses.replace(broken), PROBLEM, BARE)
