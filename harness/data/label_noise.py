"""Wrong labels, drawn independently for each example."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.errors import HarnessError

Array = np.ndarray[Any, Any]


def symmetric_noise(labels: Array, rate: float, classes: int, random: np.random.Generator) -> Array:
    """Each label is exchanged with probability `rate` for one of the other classes, all of them equally likely.

    An exchanged label is always wrong; at rate (K - 1) / K the labels carry no information.

    Args:
        labels: int (n,) in 0 .. classes - 1.
        rate: in [0, 1].
        classes: K, at least 2.

    Returns:
        new labels, int64 (n,).
    """
    _check(labels, rate, classes)
    # one draw of each kind an example, whatever the rate: a higher rate then moves a superset of the labels
    moves = random.random(len(labels)) < rate
    others = (labels + random.integers(1, classes, size=len(labels))) % classes
    return np.where(moves, others, labels).astype(np.int64)


def other_classes(classes: int, random: np.random.Generator) -> Array:
    """For every class one of the other classes, drawn uniformly and independently (two may share one), int64 (K,)."""
    if classes < 2:
        raise HarnessError(f"label noise needs at least 2 classes; given {classes}")
    return (np.arange(classes) + random.integers(1, classes, size=classes)).astype(np.int64) % classes


def pair_noise(labels: Array, rate: float, partner: Array, random: np.random.Generator) -> Array:
    """Each label k is exchanged with probability `rate` for `partner[k]`.

    Args:
        labels: int (n,).
        rate: in [0, 1].
        partner: the class that each class is taken for, int (K,), from `other_classes` for example.

    Returns:
        new labels, int64 (n,).
    """
    _check(labels, rate, len(partner))
    moves = random.random(len(labels)) < rate
    return np.where(moves, np.asarray(partner)[labels], labels).astype(np.int64)


def _check(labels: Array, rate: float, classes: int) -> None:
    if not 0.0 <= rate <= 1.0:
        raise HarnessError(f"noise rate {rate} is not accepted: a number from 0 to 1")
    if classes < 2:
        raise HarnessError(f"label noise needs at least 2 classes; given {classes}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise HarnessError(f"labels run from {labels.min()} to {labels.max()}; accepted are 0 to {classes - 1}")
