"""Interface `gradient rule`: SAM, gradient surgery, clipping."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Protocol

from torch import Tensor, nn

from harness.interfaces.method import MethodBase
from harness.interfaces.step import Step

if TYPE_CHECKING:
    from harness.interfaces.context import Context
    from harness.interfaces.recipe import Recipe

Parameters = dict[str, Tensor]


class GradientAt(Protocol):
    """Evaluates the gradient of the objective; every call counts as one gradient evaluation."""

    def __call__(self, parameters: Parameters, terms: tuple[str, ...] = ()) -> Parameters:
        """The gradient at `parameters` ("network.parameter" -> tensor), of all terms or of those named."""
        ...


class GradientRule(MethodBase, nn.Module):
    """Decides what the optimizer gets instead of the plain gradient."""

    interface: ClassVar[str] = "gradient-rule"

    @abstractmethod
    def gradients(self, gradient_at: GradientAt, parameters: Parameters, step: Step) -> Parameters:
        """A gradient for every parameter, for one seed, without in-place changes of its arguments."""

    def configure(self, recipe: Recipe, context: Context) -> Recipe:
        """Put the rule into a recipe."""
        return recipe.with_rule(self)
