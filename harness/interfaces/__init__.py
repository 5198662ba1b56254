"""The eight interfaces, the task, and the words they share.

One small file each. Names load on first use, so that light modules here (`chain`, `budget`) can be imported by the
driver of a study without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.interfaces.budget import Budget as Budget
    from harness.interfaces.context import Context as Context
    from harness.interfaces.estimator import Estimator as Estimator
    from harness.interfaces.gradient_rule import GradientAt as GradientAt
    from harness.interfaces.gradient_rule import GradientRule as GradientRule
    from harness.interfaces.learner import Learner as Learner
    from harness.interfaces.pipeline import Pipeline as Pipeline
    from harness.interfaces.probe import Probe as Probe
    from harness.interfaces.problem import Problem as Problem
    from harness.interfaces.problem import Split as Split
    from harness.interfaces.recipe import Hook as Hook
    from harness.interfaces.recipe import Network as Network
    from harness.interfaces.recipe import Optimizer as Optimizer
    from harness.interfaces.recipe import PerExample as PerExample
    from harness.interfaces.recipe import Phase as Phase
    from harness.interfaces.recipe import Recipe as Recipe
    from harness.interfaces.recipe import Source as Source
    from harness.interfaces.recipe_change import RecipeChange as RecipeChange
    from harness.interfaces.sampler import Sampler as Sampler
    from harness.interfaces.sampler import Shuffle as Shuffle
    from harness.interfaces.sampler import Weighted as Weighted
    from harness.interfaces.schedule import Constant as Constant
    from harness.interfaces.schedule import Cosine as Cosine
    from harness.interfaces.schedule import Schedule as Schedule
    from harness.interfaces.schedule import StepDecay as StepDecay
    from harness.interfaces.scorer import Scorer as Scorer
    from harness.interfaces.step import Batch as Batch
    from harness.interfaces.step import Output as Output
    from harness.interfaces.step import SeedView as SeedView
    from harness.interfaces.step import Step as Step
    from harness.interfaces.task import BaseTask as BaseTask
    from harness.interfaces.task import TaskMetric as TaskMetric
    from harness.interfaces.term import FunctionLoss as FunctionLoss
    from harness.interfaces.term import Loss as Loss
    from harness.interfaces.term import Term as Term
    from harness.interfaces.trained import Predictor as Predictor
    from harness.interfaces.trained import Trained as Trained
    from harness.interfaces.transform import Transform as Transform

HOME = {
    "Budget": "budget",
    "Context": "context",
    "Estimator": "estimator",
    "GradientAt": "gradient_rule",
    "GradientRule": "gradient_rule",
    "Learner": "learner",
    "Pipeline": "pipeline",
    "Probe": "probe",
    "Problem": "problem",
    "Split": "problem",
    "Hook": "recipe",
    "Network": "recipe",
    "Optimizer": "recipe",
    "PerExample": "recipe",
    "Phase": "recipe",
    "Recipe": "recipe",
    "Source": "recipe",
    "RecipeChange": "recipe_change",
    "Sampler": "sampler",
    "Shuffle": "sampler",
    "Weighted": "sampler",
    "Constant": "schedule",
    "Cosine": "schedule",
    "Schedule": "schedule",
    "StepDecay": "schedule",
    "Scorer": "scorer",
    "Batch": "step",
    "Output": "step",
    "SeedView": "step",
    "Step": "step",
    "BaseTask": "task",
    "TaskMetric": "task",
    "FunctionLoss": "term",
    "Loss": "term",
    "Term": "term",
    "Predictor": "trained",
    "Trained": "trained",
    "Transform": "transform",
}
__all__ = list(HOME)


def __getattr__(name: str) -> Any:
    if name not in HOME:
        raise AttributeError(f"module 'harness.interfaces' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"harness.interfaces.{HOME[name]}"), name)
    globals()[name] = value
    return value
