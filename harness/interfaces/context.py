"""What a method gets besides the data: random streams, the trainer, artifacts, a log."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from harness.interfaces.budget import Budget
from harness.interfaces.problem import Array, Problem

if TYPE_CHECKING:
    from harness.interfaces.recipe import Recipe
    from harness.interfaces.trained import Trained


class Context(ABC):
    """One trial's access to the harness. It knows neither the task's name nor anything hidden.

    Attributes:
        problem: the visible data.
        recipe: the task's own way of training, where it offers one; a learner starts from it.
        device: "cpu" or "cuda".
    """

    problem: Problem
    recipe: Recipe | None
    device: str

    @property
    def budget(self) -> Budget:
        """What one trial may spend."""
        return self.problem.budget

    @abstractmethod
    def random(self, name: str, counter: int = 0) -> np.random.Generator:
        """The stream `method/<name>` of this seed; the same name and counter give the same numbers again."""

    @abstractmethod
    def train(
        self,
        recipe: Recipe,
        start: Trained | None = None,
        masks: Mapping[str, Array] | None = None,
        steps: int | None = None,
    ) -> Trained:
        """Carry a recipe out; recipes of several seeds that are alike are trained as one program.

        Args:
            start: continue from these weights (networks of the same name) instead of drawing initial ones.
            masks: added to the recipe's masks.
            steps: instead of the recipe's own length.
        """

    @abstractmethod
    def artifact(self, name: str) -> dict[str, Array]:
        """The arrays of a declared artifact, built once for a seed and shared by all trials that use it.

        Raises:
            HarnessError: no such artifact is declared, or its build failed.
        """

    @abstractmethod
    def log(self, name: str, value: float, step: float | None = None) -> None:
        """Append a point to the curve `name` of this trial's row."""
