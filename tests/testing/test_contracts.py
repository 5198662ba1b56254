"""The contract suites on one small method for each interface, and on methods that break the contract."""

import sys
from pathlib import Path

import pytest
import torch

from harness import GradientRule, Loss, Transform
from harness.testing import (
    EstimatorContract,
    GradientRuleContract,
    LearnerContract,
    LossContract,
    ProbeContract,
    RecipeChangeContract,
    ScorerContract,
    TermContract,
    TransformContract,
)

sys.path.insert(0, str(Path(__file__).parent))
import sample_methods as sample


class TestSquaredError(LossContract):
    method = sample.SquaredError


class TestLag(TermContract):
    method = sample.Lag
    params = {"weight": 0.5}


class TestSlowStart(RecipeChangeContract):
    method = sample.SlowStart


class TestClip(GradientRuleContract):
    method = sample.Clip
    params = {"norm": 0.1}


class TestPrior(EstimatorContract):
    method = sample.Prior


class TestHalve(TransformContract):
    method = sample.Halve


class TestConfidence(ScorerContract):
    method = sample.Confidence


class TestWeightNorm(ProbeContract):
    method = sample.WeightNorm


class TestTwoRounds(LearnerContract):
    method = sample.TwoRounds


class NotPerExample(Loss):
    """Depends on the whole batch."""

    def forward(self, logits, target):
        return torch.nn.functional.cross_entropy(logits - logits.mean(0), target, reduction="none")


class Overflows(Loss):
    """Exponentiates without care."""

    def forward(self, logits, target):
        return -(logits.exp() / logits.exp().sum(-1, keepdim=True)).log().gather(-1, target[:, None])[:, 0]


class Untyped(Loss):
    """Has a parameter without a type."""

    def __init__(self, weight=1):
        super().__init__()


class InPlace(Transform):
    """Changes the model that it is given."""

    def transform(self, trained, problem, context):
        next(iter(trained.weights["model"].values()))[...] = 0.0
        return trained


class Forgetful(GradientRule):
    """Leaves parameters out."""

    def gradients(self, gradient_at, parameters, step):
        return dict(list(gradient_at(parameters).items())[:1])


class Lucky(Loss):
    """Draws from the global generator within the loss; only its own group's order makes that the same twice."""

    count = 0

    def forward(self, logits, target):
        Lucky.count += 1
        return Lucky.count * torch.nn.functional.cross_entropy(logits, target, reduction="none")


@pytest.mark.parametrize(
    ("suite", "method", "check"),
    [
        (LossContract, NotPerExample, "test_examples_do_not_depend_on_each_other"),
        (LossContract, Overflows, "test_is_finite_with_finite_gradient_at_extreme_logits"),
        (LossContract, Untyped, "test_parameters_are_named_typed_and_plain"),
        (LossContract, Lucky, "test_training_is_finite_and_deterministic"),
        (TransformContract, InPlace, "test_leaves_the_given_model_alone"),
        (GradientRuleContract, Forgetful, "test_returns_a_gradient_for_every_parameter"),
    ],
)
def test_a_broken_method_fails_its_check(suite, method, check):
    broken = type("Broken", (suite,), {"method": method})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(broken, check)()
