"""Interface `probe`: measurements on one or many trained models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from harness.interfaces.method import MethodBase
from harness.interfaces.problem import Array

if TYPE_CHECKING:
    from harness.interfaces.context import Context
    from harness.interfaces.problem import Problem
    from harness.interfaces.task import TaskMetric
    from harness.interfaces.trained import Trained


class Probe(MethodBase, ABC):
    """Measures models without changing them. Its values become outputs `probe/<name>`.

    Attributes:
        metrics: the metrics that its values are.
    """

    interface: ClassVar[str] = "probe"
    metrics: ClassVar[Sequence[TaskMetric]] = ()

    @abstractmethod
    def measure(self, models: Sequence[Trained], problem: Problem, context: Context) -> dict[str, float | Array]:
        """Named values or arrays."""
