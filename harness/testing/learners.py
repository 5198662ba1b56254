"""The contract of learners."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.interfaces.learner import Learner
from harness.interfaces.problem import Problem
from harness.interfaces.trained import Predictor
from harness.testing.base import MethodContract
from harness.testing.toys import bench, same, toy_problem, toy_recipe


class LearnerContract(MethodContract):
    """For `Learner`: whoever owns the loop.

    Override `problem` and `recipe` where the learner needs another kind of problem than the toy classification.
    """

    def problem(self, seed: int) -> Problem:
        """The visible problem of a seed."""
        return toy_problem(seed)

    def recipe(self, problem: Problem) -> Any:
        """What the task would offer as its own way of training."""
        return toy_recipe(problem)

    def predictions(self) -> list[Any]:
        def prepare(context: Any) -> None:
            context.recipe = self.recipe(context.problem)

        def work(context: Any) -> Any:
            predictor = self.make().fit(context.problem, context)
            assert isinstance(predictor, Predictor)
            return predictor.predict(context.problem.inputs["test"])

        return bench(work, problem=self.problem, prepare=prepare)

    def test_implements_its_interface(self) -> None:
        assert issubclass(self.method, Learner)

    def test_predicts_named_finite_arrays(self) -> None:
        for prediction in self.predictions():
            assert prediction
            assert all(np.isfinite(value).all() for value in prediction.values())

    def test_is_deterministic(self) -> None:
        assert same(self.predictions(), self.predictions())
