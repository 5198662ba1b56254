"""Contract suites for plugin authors.

Subclass the suite of your interface in a test file and name your class; pytest does the rest:

    from harness.testing import LossContract
    from my_package.my_loss import MyLoss

    class TestMyLoss(LossContract):
        method = MyLoss
        params = {"gamma": 2.0}
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.testing.estimators import EstimatorContract as EstimatorContract
    from harness.testing.executors import ExecutorContract as ExecutorContract
    from harness.testing.learners import LearnerContract as LearnerContract
    from harness.testing.models import ProbeContract as ProbeContract
    from harness.testing.models import ScorerContract as ScorerContract
    from harness.testing.models import TransformContract as TransformContract
    from harness.testing.recipes import GradientRuleContract as GradientRuleContract
    from harness.testing.recipes import LossContract as LossContract
    from harness.testing.recipes import RecipeChangeContract as RecipeChangeContract
    from harness.testing.recipes import TermContract as TermContract
    from harness.testing.tasks import TaskContract as TaskContract

_HOME = {
    "TermContract": "recipes",
    "LossContract": "recipes",
    "RecipeChangeContract": "recipes",
    "GradientRuleContract": "recipes",
    "EstimatorContract": "estimators",
    "TransformContract": "models",
    "ScorerContract": "models",
    "ProbeContract": "models",
    "LearnerContract": "learners",
    "TaskContract": "tasks",
    "ExecutorContract": "executors",
}
__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(f"harness.testing.{_HOME[name]}"), name)
