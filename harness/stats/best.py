"""The best group: every method that no other beats, with the error of all its comparisons under control.

Method j is judged by T_j = max over i of t_ij, the studentised mean of (value of i - value of j) over seeds: how
clearly the strongest rival beats it. If j is truly best, no difference has a positive mean, and at the border, where
all means are zero, the differences of a whole seed to j may change sign together without changing their law. So T_j is
compared with its values under all such flips of whole seeds, the same flips for all rivals: the dependence between
rivals is kept, and 400 of them cost no more level than the data demand (max-T).

- The p-value counts the flips that reach the observed T_j, the identity among them: never 0. Where j also beats
  somebody, flipping all seeds counts too, so the smallest p that n seeds allow is 2^(1-n): 0.0625 with 5, 0.03 with 6.
- A method that is beaten as clearly as seeds can show (no flip but the identity and its opposite reaches T_j) leaves
  the comparison, and the rest are judged again without it: a rival far below everyone would else fill the reference
  values of the others, and 5 seeds could hardly separate anything. To remove every beaten method, not only the
  clear ones, would let one chance loser lower the bar for the next (simulated: up to 6.4 % of the best left out).
- t is never formed. Under flips the sum of squares Q_ij of a difference is constant, and t grows with
  r = sum_k s_k d_k / sqrt(n Q): one product a pair and flip. A flip and its opposite share it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
EXACT_SEEDS = 12
FLIPS = 2048
CLEAR = 2
_TIE = 1e-6
_SMALL = 262_144
"""Products up to this size run in one thread of the linear algebra library; larger ones wait for busy cores."""


def best_group(values: Array, level: float = 0.05, rng: np.random.Generator | None = None) -> Array:
    """Which methods no other beats.

    Args:
        values: (seeds, methods), higher is better. Seeds with a value that is not finite are left out for all.
        level: chance that a method that is truly best is left out.
        rng: draws the flips above 12 seeds; below, all are tried. Default: a fixed stream.

    Returns:
        (methods,) booleans; at least one is True. All are, with fewer than two usable seeds.
    """
    values = np.asarray(values, float)
    if values.ndim != 2:
        raise ValueError(f"best_group takes (seeds, methods); got shape {values.shape}")
    usable = values[np.isfinite(values).all(axis=1)]
    inside = np.ones(values.shape[1], bool)
    if len(usable) < 2 or values.shape[1] < 2:
        return inside
    usable = usable - usable.mean(axis=1, keepdims=True)  # differences stay, large offsets do not eat their digits
    signs = sign_flips(len(usable), rng)
    limit = int(np.floor(level * 2 * len(signs) + 1e-9))  # flips that may reach the observed value of a beaten method
    clear = min(limit, CLEAR)
    leaving = np.ones(1, bool)
    while leaving.any():
        members = np.flatnonzero(inside)
        leaving = _reached(usable[:, members], signs, clear) <= clear
        inside[members[leaving]] = False
    inside[members[_reached(usable[:, members], signs, limit) <= limit]] = False
    return inside


def smallest_p(seeds: int) -> float:
    """The smallest p-value that so many seeds can give a method that beats somebody itself."""
    return 2.0 ** (1 - seeds) if seeds <= EXACT_SEEDS else 2.0 / FLIPS


def sign_flips(seeds: int, rng: np.random.Generator | None = None) -> Array:
    """(flips, seeds) signs, the identity first, one of each opposite pair: all of them up to 12 seeds, else 1024 random
    ones."""
    if seeds <= EXACT_SEEDS:
        order = np.random.Generator(np.random.Philox(key=12)).permutation(np.arange(1, 2 ** (seeds - 1)))
        bits = np.concatenate([[0], order])[:, None] >> np.arange(seeds) & 1  # in random order: counts settle sooner
        return 1.0 - 2.0 * bits
    rng = rng or np.random.Generator(np.random.Philox(key=20))
    signs = rng.choice([-1.0, 1.0], size=(FLIPS // 2, seeds))
    signs[0] = 1.0
    return signs


def _reached(values: Array, signs: Array, limit: int) -> Array:
    """(m,) how many flips reach the observed value of each column, among themselves; counted to above `limit`."""
    weight, reach = _pairs(values)
    flips = np.ascontiguousarray(signs.T, np.float32)
    observed = ((values.sum(axis=0)[:, None] - values.sum(axis=0)) * weight).max(axis=0) - _TIE
    columns = range(values.shape[1])
    return np.array([_column(values, j, observed[j], weight[j], reach[j], flips, limit) for j in columns])


def _column(values: Array, j: int, observed: float, weight: Array, reach: Array, flips: Array, limit: int) -> int:
    """How many flips reach the observed value of column j; it stops above `limit`.

    A rival whose r can never reach the observed value is left out at once, and the flips end as soon as too many of
    them have reached it: few columns need all rivals under all flips. Differences are scaled in float64; r, at most 1,
    is then formed in float32, and a tie within 1e-6 counts as reached.
    """
    if observed <= 0:
        return limit + 1
    rivals = np.flatnonzero(reach >= observed)
    scaled = ((values[:, rivals] - values[:, j : j + 1]) * weight[rivals]).T.astype(np.float32)
    count, start, size = 0, 0, max(32, _SMALL // max(1, scaled.size))
    while start < flips.shape[1]:
        ratio = scaled @ flips[:, start : start + size]
        count += int((ratio.max(axis=0) >= observed).sum() + (ratio.min(axis=0) <= -observed).sum())
        if count > limit:
            break
        start += size
    return count


def _pairs(values: Array) -> tuple[Array, Array]:
    """For each pair, (m, m): 1 / sqrt(n Q), and the largest r that any flip gives, sum |d| / sqrt(n Q).

    Both are 0 where two columns are equal, which then never beat one another.
    """
    m = values.shape[1]
    squares, absolute = np.zeros((m, m)), np.zeros((m, m))
    for row in values:
        difference = np.subtract.outer(row, row)
        absolute += np.abs(difference)
        difference *= difference
        squares += difference
    scale = np.sqrt(len(values) * squares)
    weight = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    return weight, absolute * weight
