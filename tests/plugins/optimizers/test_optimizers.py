"""Optimizers that take the place of a task's own."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness_optimizers.adam import Adam, AdamW
from harness_optimizers.sgd import SGD

from harness import FunctionLoss, HarnessError, Network, Optimizer, Recipe, Source, StepDecay

CONTEXT: Any = SimpleNamespace()
TASK_SGD = Optimizer(torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-3}, elementwise=True)
TASK_ADAM = Optimizer(torch.optim.Adam, {"lr": 3e-3}, elementwise=True)


def recipe(*optimizers: tuple[str, Optimizer]) -> Recipe:
    return Recipe(
        networks={"model": Network(torch.nn.Linear)},
        sources={"labelled": Source(np.zeros((6, 2), np.float32), np.zeros(6, np.int64))},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=optimizers,
        schedule=StepDecay((1,)),
        epochs=2,
    )


def changed(method: Any, own: Optimizer) -> Optimizer:
    before = recipe(("*", own))
    after = method.configure(before, CONTEXT)
    assert before.optimizers == (("*", own),)
    assert after.replace(optimizers=before.optimizers) == before
    ((selector, optimizer),) = after.optimizers
    assert selector == "*"
    assert optimizer.elementwise
    return optimizer


def test_sgd_without_parameters_is_the_task_s_own() -> None:
    assert changed(SGD(), TASK_SGD) == TASK_SGD


def test_adam_on_a_task_that_trains_with_sgd() -> None:
    optimizer = changed(Adam(), TASK_SGD)
    assert optimizer.factory is torch.optim.Adam
    assert dict(optimizer.options) == {"lr": 1e-3, "weight_decay": 5e-3, "betas": (0.9, 0.999), "eps": 1e-8}


def test_learning_rate_is_kept_within_the_family_only() -> None:
    assert changed(AdamW(), TASK_ADAM).options["lr"] == 3e-3
    assert changed(Adam(), TASK_ADAM).options["lr"] == 3e-3
    assert changed(SGD(), TASK_ADAM).options["lr"] == 0.01
    assert changed(SGD(), TASK_ADAM).options["weight_decay"] == 0.0


@pytest.mark.parametrize("method", [SGD, Adam, AdamW])
def test_parameters_win(method: Any) -> None:
    optimizer = changed(method(lr=0.5, weight_decay=0.25), TASK_SGD)
    assert (optimizer.options["lr"], optimizer.options["weight_decay"]) == (0.5, 0.25)


def test_groups_of_parameters_stay() -> None:
    slow = TASK_SGD.with_options(lr=0.001)
    after = SGD(momentum=0.0).configure(recipe(("model.head*", slow), ("*", TASK_SGD)), CONTEXT)
    assert [selector for selector, _ in after.optimizers] == ["model.head*", "*"]
    assert [optimizer.options["lr"] for _, optimizer in after.optimizers] == [0.001, 0.1]


def test_nesterov_and_betas_reach_torch() -> None:
    assert changed(SGD(nesterov=True), TASK_SGD).options["nesterov"] is True
    assert changed(Adam(beta1=0.5, beta2=0.9, eps=1e-3), TASK_SGD).options["betas"] == (0.5, 0.9)


def steps(optimizer: Optimizer, gradients: list[float]) -> float:
    weight = torch.tensor([1.0], dtype=torch.float64, requires_grad=True)
    run = optimizer.factory([weight], **optimizer.options)
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        run.step()
    return weight.item()


GRADIENTS = [0.3, -1.0, 0.5, 0.2]


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_formula(nesterov: bool) -> None:
    weight = velocity = 0.0
    weight = 1.0
    for number, gradient in enumerate(GRADIENTS):
        slope = gradient + 0.1 * weight
        velocity = slope if number == 0 else 0.9 * velocity + slope
        weight -= 0.05 * (slope + 0.9 * velocity if nesterov else velocity)
    optimizer = changed(SGD(lr=0.05, weight_decay=0.1, nesterov=nesterov), TASK_SGD)
    assert steps(optimizer, GRADIENTS) == pytest.approx(weight, rel=1e-12)


@pytest.mark.parametrize("method", [Adam, AdamW])
def test_adam_formula(method: Any) -> None:
    weight, first, second = 1.0, 0.0, 0.0
    for number, gradient in enumerate(GRADIENTS, start=1):
        slope = gradient + 0.1 * weight if method is Adam else gradient
        if method is AdamW:
            weight *= 1 - 0.05 * 0.1
        first = 0.8 * first + 0.2 * slope
        second = 0.95 * second + 0.05 * slope**2
        mean, square = first / (1 - 0.8**number), second / (1 - 0.95**number)
        weight -= 0.05 * mean / (square**0.5 + 1e-6)
    optimizer = changed(method(lr=0.05, beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.1), TASK_SGD)
    assert steps(optimizer, GRADIENTS) == pytest.approx(weight, rel=1e-9)


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        (SGD, {"lr": 0.0}, "sgd: lr is 0; expected a number above 0"),
        (SGD, {"lr": float("nan")}, "sgd: lr is nan"),
        (SGD, {"momentum": 1.0}, "sgd: momentum is 1; expected a number of at least 0 and below 1"),
        (SGD, {"momentum": 0.0, "nesterov": True}, "sgd: nesterov = True is not accepted"),
        (Adam, {"beta2": -0.1}, "adam: beta2 is -0.1"),
        (Adam, {"eps": 0.0}, "adam: eps is 0;"),
        (AdamW, {"weight_decay": -1.0}, "adamw: weight_decay is -1;"),
    ],
)
def test_parameters_that_are_not_accepted(method: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessError) as caught:
        method(**params)
    assert message in str(caught.value)
