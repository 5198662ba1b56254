"""Intervals for a mean over seeds, and for a paired difference.

Student's t throughout, which is studentised and exact for normal values. A bootstrap-t interval is not offered: at the
5 to 20 seeds of a study its resamples repeat few distinct values, some with almost no spread, where t has no bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
POWER = 0.8


def mean_interval(mean: Array, deviation: Array, n: Array, level: float = 0.95) -> tuple[Array, Array]:
    """Two-sided Student interval from moments, elementwise.

    Args:
        mean, deviation, n: mean, sample standard deviation (n - 1 in the denominator) and count, any equal shapes.
        level: coverage.

    Returns:
        low and high; nan where n < 2.
    """
    from scipy.special import stdtrit

    mean, deviation, n = np.asarray(mean, float), np.asarray(deviation, float), np.asarray(n, float)
    enough = n >= 2
    safe = np.where(enough, n, 2.0)
    half = np.where(enough, stdtrit(safe - 1, (1 + level) / 2) * deviation / np.sqrt(safe), np.nan)
    return mean - half, mean + half


def interval(values: Array, level: float = 0.95) -> tuple[float, float, float, int]:
    """Mean, low, high and n of the finite values of a sample."""
    finite = np.asarray(values, float).ravel()
    finite = finite[np.isfinite(finite)]
    n = finite.size
    if n == 0:
        return float("nan"), float("nan"), float("nan"), 0
    deviation = np.asarray(finite.std(ddof=1) if n > 1 else np.nan)
    low, high = mean_interval(finite.mean(), deviation, np.asarray(n), level)
    return float(finite.mean()), float(low), float(high), n


@dataclass(frozen=True)
class Difference:
    """a - b over the seeds that both finished.

    Attributes:
        mean, low, high: the mean difference and its Student interval; nan below two pairs.
        n: pairs; `lost`: pairs with a value missing on either side.
        detectable: the smallest true difference that a two-sided test finds with power 0.8 at this n and spread.
    """

    mean: float
    low: float
    high: float
    n: int
    lost: int
    detectable: float


def paired_difference(a: Array, b: Array, level: float = 0.95, power: float = POWER) -> Difference:
    """Compare two methods seed by seed.

    Args:
        a, b: one value a seed, in the same order of seeds; nan where a trial has none.

    Raises:
        ValueError: the two have different lengths.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values need one length; got {a.shape} and {b.shape}")
    both = np.isfinite(a) & np.isfinite(b)
    difference = a[both] - b[both]
    mean, low, high, n = interval(difference, level)
    spread = float(difference.std(ddof=1)) if n > 1 else float("nan")
    return Difference(mean, low, high, n, int(both.size - n), smallest_detectable(spread, n, level, power))


def smallest_detectable(deviation: float, n: int, level: float = 0.95, power: float = POWER) -> float:
    """The true mean difference that a two-sided t test at `level` finds with probability `power`.

    Solves P(T > t) = power for the noncentrality of Student's t with n - 1 degrees; the far tail, below 1e-5 at usual
    powers, is left out. nan below two pairs.
    """
    from scipy.special import nctdtrinc, stdtrit

    if n < 2 or not np.isfinite(deviation):
        return float("nan")
    noncentrality = nctdtrinc(n - 1, 1 - power, stdtrit(n - 1, (1 + level) / 2))
    return float(noncentrality * deviation / np.sqrt(n))
