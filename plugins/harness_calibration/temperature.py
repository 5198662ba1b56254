"""Temperature scaling: one positive number divides all logits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness import Estimator, HarnessError
from harness_calibration.logits import checked_logits
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
        around = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, POINTS - 1)])
        answer = min(valley(loss, *around), float(grid[best]), key=loss)
        if self.solver == "lbfgs":
            from scipy.optimize import minimize  # takes longer to import than the grid to compute

            free = minimize(lambda t: loss(float(t[0])), np.zeros(1), method="L-BFGS-B", bounds=[(-10.0, 10.0)])
            answer = min(float(free.x[0]), answer, key=loss)
        self.temperature = float(np.exp(answer))

    def predict(self, x: Array) -> dict[str, Array]:
        if self.temperature is None:
            raise HarnessError("temperature must be fitted before it predicts")
        return {"logits": np.asarray(x, dtype=np.float64) / self.temperature}


def valley(function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-9) -> float:
    """The place of the minimum of a function with one valley between `low` and `high`, by golden sections."""
    share = (math.sqrt(5) - 1) / 2
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = function(right)
    return (low + high) / 2
