"""Interface `learner`: whoever owns the loop. Federated, continual, bandits, RL, NAS, PINNs, dataset distillation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from harness.interfaces.method import MethodBase

if TYPE_CHECKING:
    from harness.interfaces.context import Context
    from harness.interfaces.problem import Problem
    from harness.interfaces.trained import Predictor


class Learner(MethodBase, ABC):
    """Goes from the problem to a predictor by itself; `context.train` and `context.recipe` are there to compose."""

    interface: ClassVar[str] = "learner"

    @abstractmethod
    def fit(self, problem: Problem, context: Context) -> Predictor:
        """Learn from the visible data."""
