"""The sampler that draws examples in proportion to their loss."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness_samplers.loss_proportional import LossProportional, probabilities
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import FunctionLoss, HarnessError, Network, Optimizer, Recipe, Source, Weighted
from harness.streams import random

CONTEXT: Any = SimpleNamespace()


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        networks={"model": Network(torch.nn.Linear)},
        sources={"labelled": Source(np.zeros((6, 2), np.float32), np.zeros(6, np.int64))},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=(("*", Optimizer(torch.optim.SGD, {"lr": 0.1})),),
        epochs=2,
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.floats(0.0, 1.0))
def test_a_distribution_that_grows_with_the_loss(losses: list[float], tau: float) -> None:
    q = probabilities(np.array(losses), tau)
    assert q.sum() == pytest.approx(1.0)
    assert q.min() >= (1 - tau) / len(losses) * (1 - 1e-9)
    order = np.argsort(losses, kind="stable")
    assert np.all(np.diff(q[order]) >= -1e-12)


def test_by_hand() -> None:
    np.testing.assert_allclose(probabilities(np.array([1.0, 3.0, 0.0, 0.0]), 0.5), [0.25, 0.5, 0.125, 0.125])
    np.testing.assert_allclose(probabilities(np.array([-1.0, 0.0, 3.0]), 1.0), [0.0, 0.2, 0.8])


@pytest.mark.parametrize("losses", [[0.0, 0.0], [2.0, float("nan")], [1.0, float("inf")], [1e308, 1e308], [-1.0, -1.0]])
def test_uniform_where_losses_say_nothing(losses: list[float]) -> None:
    np.testing.assert_array_equal(probabilities(np.array(losses), 1.0), [0.5, 0.5])


def test_switched_off_leaves_the_recipe_alone(recipe: Recipe) -> None:
    assert LossProportional(tau=0.0).configure(recipe, CONTEXT) is recipe


@pytest.mark.parametrize("unbiased", [False, True])
def test_configure(recipe: Recipe, unbiased: bool) -> None:
    changed = LossProportional(tau=0.5, unbiased=unbiased).configure(recipe, CONTEXT)
    assert changed.sources["labelled"].sampler == Weighted(unbiased=unbiased)
    assert recipe.hooks == ()
    (hook,) = changed.hooks
    assert hook.every == 0
    seen: dict[str, Any] = {}
    losses = np.array([1.0, 3.0, 0.0, 0.0, 0.0, 0.0])
    view: Any = SimpleNamespace(losses=lambda source: losses, set_weights=seen.__setitem__)
    hook.call(view)
    np.testing.assert_allclose(seen["labelled"], probabilities(losses, 0.5))


def test_unbiased_draws_have_the_mean_of_uniform_sampling() -> None:
    values = np.array([1.0, -2.0, 5.0, 0.5])
    q = probabilities(np.array([4.0, 1.0, 0.5, 0.0]), 0.7)
    means = []
    for epoch in range(4000):
        positions, weights = Weighted(unbiased=True).epoch(4, q, random(0, "order/labelled", epoch))
        assert weights is not None
        means.append(np.mean(values[positions] * weights))
    error = np.std(means) / np.sqrt(len(means))
    assert abs(np.mean(means) - values.mean()) < 5 * error
    assert error < 0.1


@pytest.mark.parametrize("params", [{"tau": -0.1}, {"tau": 1.1}, {"tau": float("nan")}, {"tau": True}, {"unbiased": 1}])
def test_parameters_that_are_not_accepted(params: dict[str, Any]) -> None:
    with pytest.raises(HarnessError, match=rf"loss-proportional: {next(iter(params))} .* (expected|is not accepted)"):
        LossProportional(**params)
