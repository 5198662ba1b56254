"""Interface `estimator`: calibrators, tabular learners, few-shot heads, curve fits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from harness.interfaces.method import MethodBase
from harness.interfaces.problem import Array

if TYPE_CHECKING:
    from harness.interfaces.context import Context


class Estimator(MethodBase, ABC):
    """Fits on a table. After a model, the table is the model's logits on the validation split."""

    interface: ClassVar[str] = "estimator"

    @abstractmethod
    def fit(self, x: Array, y: Array, context: Context) -> None:
        """Fit to inputs (n, ...) and labels (n,)."""

    @abstractmethod
    def predict(self, x: Array) -> dict[str, Array]:
        """Named arrays for inputs (n, ...): "logits", "probabilities" (n, K) or "value"."""
