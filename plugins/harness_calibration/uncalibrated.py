"""The reference of calibration boards: logits as the model gave them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Estimator
from harness_calibration.logits import checked_logits
from harness_calibration.metrics import Array

if TYPE_CHECKING:
    from harness import Context


class Uncalibrated(Estimator):
    """Fits nothing and predicts the logits unchanged.

    Raises:
        HarnessError: logits that are not a finite (n, K) array, or labels out of range.
    """

    def fit(self, x: Array, y: Array, context: Context) -> None:
        checked_logits(x, y)

    def predict(self, x: Array) -> dict[str, Array]:
        return {"logits": x}
