"""Interface `transform`: quantizers, pruners, tickets, unlearners, soups."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from harness.interfaces.method import MethodBase

if TYPE_CHECKING:
    from harness.interfaces.context import Context
    from harness.interfaces.problem import Problem
    from harness.interfaces.trained import Trained


class Transform(MethodBase, ABC):
    """Turns a trained model into another one; it may train again through `context.train`."""

    interface: ClassVar[str] = "transform"

    @abstractmethod
    def transform(self, trained: Trained, problem: Problem, context: Context) -> Trained:
        """The changed model; `trained` itself stays as it is."""
