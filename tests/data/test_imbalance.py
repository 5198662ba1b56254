import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data import longtail_counts, take_per_class
from harness.errors import HarnessError
from harness.streams import random


def test_digits_tail() -> None:
    # 60 * 20^(-c / 9) by hand
    expected = [60, 43, 31, 22, 16, 11, 8, 6, 4, 3]
    assert longtail_counts(60, 20.0, 10, least=3).tolist() == expected


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 500), st.floats(1, 1e6), st.integers(2, 30))
def test_never_increasing_and_at_least_the_least(largest: int, ratio: float, classes: int) -> None:
    counts = longtail_counts(largest, ratio, classes, least=3)
    assert counts[0] == largest
    assert np.all(np.diff(counts) <= 0)
    assert counts.min() >= 3


def test_take_per_class_counts_without_repeats() -> None:
    labels = np.arange(100) % 4
    among = np.arange(10, 90)
    taken = take_per_class(labels, [5, 0, 20, 1], random(0, "split"), among=among)
    assert np.bincount(labels[taken], minlength=4).tolist() == [5, 0, 20, 1]
    assert len(np.unique(taken)) == 26
    assert set(taken) <= set(among)
    assert np.all(np.diff(taken) > 0)


def test_bad_input() -> None:
    with pytest.raises(HarnessError, match=r"class 1 has 2 examples .* 3 were asked for"):
        take_per_class(np.array([0, 1, 1]), [1, 3], random(0, "split"))
    with pytest.raises(HarnessError, match=r"ratio 0\.5"):
        longtail_counts(10, 0.5, 3)
    with pytest.raises(HarnessError, match="least <= largest"):
        longtail_counts(2, 2.0, 3, least=3)
