"""Interface `recipe change`: samplers, optimizers, schedules, layers, augmentation, distillation, label noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from harness.interfaces.method import MethodBase

if TYPE_CHECKING:
    from harness.interfaces.context import Context
    from harness.interfaces.recipe import Recipe


class RecipeChange(MethodBase, ABC):
    """Changes how a model is trained, without training it."""

    interface: ClassVar[str] = "recipe-change"

    @abstractmethod
    def configure(self, recipe: Recipe, context: Context) -> Recipe:
        """A changed copy of the recipe. It is called once a seed, before training."""
