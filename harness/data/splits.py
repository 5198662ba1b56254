"""Splits of a labelled data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.errors import HarnessError

Array = np.ndarray[Any, Any]


def stratified_split(labels: Array, sizes: Sequence[int], random: np.random.Generator) -> tuple[Array, ...]:
    """Disjoint random parts of given sizes, each with nearly the class shares of the whole.

    The members of each class are shuffled and spread evenly over the unit interval with a random offset; the parts
    are consecutive stretches of it. The first part holds floor or ceil of its proportional share of each class, up to
    one example; later ones differ from theirs by less than two.

    Args:
        labels: int (n,).
        sizes: examples in each part; together at most n (what is left over is in no part).
        random: decides the draw.

    Returns:
        for each size, ascending positions, int64.

    Raises:
        HarnessError: sizes that are negative or larger than n together.
    """
    n = len(labels)
    if any(size < 0 for size in sizes) or sum(sizes) > n:
        raise HarnessError(f"split sizes {list(sizes)} do not fit: accepted are sizes >= 0 with a sum of at most {n}")
    place = np.empty(n)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ranks = random.permutation(len(members))
        place[members] = (ranks + random.random()) / len(members)
    order = np.argsort(place, kind="stable")
    ends = np.cumsum(sizes)
    return tuple(np.sort(order[end - size : end]).astype(np.int64) for end, size in zip(ends, sizes, strict=True))
