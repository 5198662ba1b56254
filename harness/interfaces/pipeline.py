"""A pipeline at work: an ordered list of method instances, applied to what a task offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.interfaces.context import Context
from harness.interfaces.estimator import Estimator
from harness.interfaces.gradient_rule import GradientRule
from harness.interfaces.learner import Learner
from harness.interfaces.probe import Probe
from harness.interfaces.problem import Array, Problem, Split
from harness.interfaces.recipe import Recipe
from harness.interfaces.recipe_change import RecipeChange
from harness.interfaces.scorer import Scorer
from harness.interfaces.term import Term
from harness.interfaces.trained import Predictor, Trained
from harness.interfaces.transform import Transform


@dataclass(frozen=True)
class Calibrated(Predictor):
    """A fitted estimator, behind the model whose outputs it was fitted on (None: it reads the inputs themselves)."""

    estimator: Estimator
    model: Predictor | None = None

    def predict(self, x: Array) -> dict[str, Array]:
        if self.model is None:
            return _named(self.estimator, self.estimator.predict(x))
        outputs = self.model.predict(x)
        return {**outputs, **_named(self.estimator, self.estimator.predict(outputs["logits"]))}


def _named(estimator: Estimator, predicted: Any) -> dict[str, Array]:
    if not isinstance(predicted, Mapping):
        raise HarnessError(
            f"{type(estimator).__name__}.predict returned {type(predicted).__name__}; it returns named arrays, such as "
            '{"logits": array}'
        )
    return dict(predicted)


@dataclass(frozen=True)
class Pipeline:
    """Method instances, left to right."""

    stages: Sequence[Any]

    def apply(self, offered: Recipe | Trained | Split | Problem, problem: Problem, context: Context) -> Any:
        """Carry the pipeline out for one seed.

        Args:
            offered: what the task offers: a recipe, a trained model, a `Split` (stored outputs or a table, with the
                labels to fit to), or the problem itself.

        Returns:
            a `Predictor` (a `Trained` where nothing was put behind the model), a fitted `Scorer`, or the
            measurements of a probe.
        """
        state: Any = offered
        for stage in self.stages:
            state = _advance(state, stage, problem, context)
            if state is None:
                raise HarnessError(f"{type(stage).__name__} returned nothing; did it forget to return its result?")
        return context.train(state) if isinstance(state, Recipe) else state


def _advance(state: Any, stage: Any, problem: Problem, context: Context) -> Any:
    if isinstance(stage, Term | RecipeChange | GradientRule):
        if not isinstance(state, Recipe):
            raise HarnessError(f"{type(stage).__name__} changes a recipe and cannot follow {type(state).__name__}")
        return stage.configure(state, context)
    if isinstance(stage, Learner):
        return stage.fit(problem, context)
    if isinstance(state, Recipe):
        state = context.train(state)
    if isinstance(stage, Estimator):
        return _fit(stage, state, problem, context)
    if not isinstance(state, Trained):
        raise HarnessError(f"{type(stage).__name__} needs a trained model, not {type(state).__name__}")
    if isinstance(stage, Transform):
        return stage.transform(state, problem, context)
    if isinstance(stage, Scorer):
        stage.fit(state, problem)
        return stage
    if isinstance(stage, Probe):
        return stage.measure([state], problem, context)
    raise HarnessError(f"{type(stage).__name__} implements none of the eight interfaces")


def _fit(stage: Estimator, state: Any, problem: Problem, context: Context) -> Calibrated:
    if isinstance(state, Split):
        if state.y is None:
            raise HarnessError("an estimator needs labels to fit to, and the split that the task offers has none")
        stage.fit(state.x, state.y, context)
        return Calibrated(stage)
    validation = problem.validation
    if validation.y is None:
        raise HarnessError("an estimator needs labels to fit to, and the validation split has none")
    stage.fit(state.predict(validation.x)["logits"], validation.y, context)
    return Calibrated(stage, state)
