import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import stratified_split
from harness.errors import HarnessError
from harness.streams import random


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    shares=st.lists(st.floats(0, 1), min_size=1, max_size=4),
    seed=st.integers(0, 2**31),
)
def test_disjoint_complete_and_proportional(counts: list[int], shares: list[float], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    n = len(labels)
    total = max(sum(shares), 1.0)
    sizes = [int(share / total * n) for share in shares]
    sizes.append(n - sum(sizes))
    parts = stratified_split(labels, sizes, random(seed, "split"))
    assert [len(part) for part in parts] == sizes
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(n))
    for place, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        ideal = size * np.array(counts) / n
        got = np.bincount(labels[part], minlength=len(counts))
        assert np.all(np.abs(got - ideal) < (2 if place == 0 else 3))


def test_first_part_within_one_of_its_share() -> None:
    labels = np.repeat(np.arange(10), 180)
    part, _ = stratified_split(labels, (600, 1200), random(3, "split"))
    assert np.all(np.abs(np.bincount(labels[part]) - 60) <= 1)


def test_every_example_is_drawn_equally_often() -> None:
    labels = np.repeat([0, 1], [10, 30])
    hits = np.zeros(40)
    for seed in range(2000):
        hits[stratified_split(labels, (10,), random(seed, "split"))[0]] += 1
    # binomial with mean 500 and sd 19
    assert np.all(np.abs(hits - 500) < 100)


def test_a_function_of_the_stream() -> None:
    labels = np.repeat(np.arange(3), 20)
    first = stratified_split(labels, (30, 20), random(1, "split"))
    again = stratified_split(labels, (30, 20), random(1, "split"))
    other = stratified_split(labels, (30, 20), random(2, "split"))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("sizes", [(-1, 2), (5, 6)])
def test_sizes_that_do_not_fit(sizes: tuple[int, int]) -> None:
    with pytest.raises(HarnessError, match="at most 10"):
        stratified_split(np.zeros(10, dtype=np.int64), sizes, random(0, "split"))
