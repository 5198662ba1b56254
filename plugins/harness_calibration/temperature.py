"""Temperature scaling: one positive number divides all logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from harness import Estimator, HarnessError
from harness_calibration.metrics import Array, log_softmax

if TYPE_CHECKING:
    from harness import Context

LOWEST, HIGHEST, POINTS = -3.0, 5.0, 400


class Temperature(Estimator):
    """Divides the logits by the T > 0 that minimises the negative log-likelihood of the labels fitted to.

    NLL(T) = -mean_i log softmax(z_i / T)[y_i] is convex in 1 / T, so it has one valley in log T.

    Args:
        solver: "grid" looks at 400 values of log T in [-3, 5] and refines between the neighbours of the best one.
            "lbfgs" minimises over log T in [-10, 10] from T = 1, and keeps the grid's answer where that is lower.

    Raises:
        HarnessError: logits that are not a finite (n, K) array, labels out of range, or predict before fit.
    """

    def __init__(self, solver: Literal["grid", "lbfgs"] = "grid") -> None:
        if solver not in ("grid", "lbfgs"):
            raise HarnessError(f"unknown solver '{solver}' of temperature; known: grid, lbfgs")
        self.solver = solver
        self.temperature: float | None = None

    def fit(self, x: Array, y: Array, context: Context) -> None:
        logits, labels = checked_logits(x, y)

        def loss(log_temperature: float) -> float:
            scaled = log_softmax(logits * np.exp(-log_temperature))
            return float(-scaled[np.arange(len(labels)), labels].mean())

        grid = np.linspace(LOWEST, HIGHEST, POINTS)
        best = int(np.argmin([loss(point) for point in grid]))
        around = (grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)])
        found = minimize_scalar(loss, bounds=around, method="bounded", options={"xatol": 1e-10})
        answer = min(float(found.x), float(grid[best]), key=loss)
        if self.solver == "lbfgs":
            free = minimize(lambda t: loss(float(t[0])), np.zeros(1), method="L-BFGS-B", bounds=[(-10.0, 10.0)])
            answer = min(float(free.x[0]), answer, key=loss)
        self.temperature = float(np.exp(answer))

    def predict(self, x: Array) -> dict[str, Array]:
        if self.temperature is None:
            raise HarnessError("temperature must be fitted before it predicts")
        return {"logits": np.asarray(x, dtype=np.float64) / self.temperature}


def checked_logits(x: Array, y: Array) -> tuple[Array, Array]:
    """Logits (n, K) in float64 and labels (n,), or a one-line error."""
    logits, labels = np.asarray(x, dtype=np.float64), np.asarray(y)
    if logits.ndim != 2 or labels.shape != (len(logits),) or len(logits) == 0:
        raise HarnessError(f"a calibrator needs logits (n, K) and labels (n,); given {logits.shape} and {labels.shape}")
    if not np.isfinite(logits).all():
        raise HarnessError("a calibrator needs finite logits; some of those given are not")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise HarnessError(f"a calibrator needs integer labels from 0 to {logits.shape[1] - 1}")
    return logits, labels
