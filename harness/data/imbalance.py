"""Classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.errors import HarnessError

Array = np.ndarray[Any, Any]


def longtail_counts(largest: int, ratio: float, classes: int, least: int = 1) -> Array:
    """Sizes of an exponential long tail: class c of K has largest * ratio^(-c / (K - 1)), rounded, at least `least`.

    Args:
        largest: size of class 0.
        ratio: size of class 0 over that of the last class, at least 1.
        classes: K, at least 2.
        least: no class is smaller.

    Returns:
        int64 (K,), not increasing.
    """
    if ratio < 1 or not np.isfinite(ratio):
        raise HarnessError(f"imbalance ratio {ratio} is not accepted: a finite number of at least 1")
    if classes < 2 or least > largest:
        raise HarnessError(
            f"a long tail needs at least 2 classes and least <= largest; given {classes} classes, {least} and {largest}"
        )
    sizes = largest * ratio ** (-np.arange(classes) / (classes - 1))
    return np.maximum(np.rint(sizes), least).astype(np.int64)


def take_per_class(
    labels: Array, counts: Sequence[int] | Array, random: np.random.Generator, among: Array | None = None
) -> Array:
    """Random positions with a given number of each class, without replacement.

    Args:
        labels: int (n,).
        counts: how many of class c = 0, 1, ...
        random: decides the draw.
        among: positions to choose from, or None for all.

    Returns:
        ascending positions, int64 (sum of counts,).

    Raises:
        HarnessError: a class has too few examples.
    """
    allowed = np.arange(len(labels)) if among is None else np.asarray(among)
    taken = []
    for label, count in enumerate(counts):
        members = allowed[labels[allowed] == label]
        if count < 0 or count > len(members):
            raise HarnessError(f"class {label} has {len(members)} examples to choose from; {count} were asked for")
        taken.append(random.permutation(members)[:count])
    return np.sort(np.concatenate(taken)).astype(np.int64)
