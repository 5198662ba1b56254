"""Intervals and paired differences against hand-computed and independent values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from harness.stats.intervals import interval, mean_interval, paired_difference, smallest_detectable


def test_interval_by_hand() -> None:
    mean, low, high, n = interval(np.array([1.0, 2.0, 3.0, np.nan]))
    half = 4.302652729911275 / np.sqrt(3)  # t(0.975, 2) times 1 / sqrt(3)
    assert (mean, n) == (2.0, 3)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(size=(12, 5))
    low, high = mean_interval(values.mean(0), values.std(0, ddof=1), np.full(5, 12))
    expected = stats.t.interval(0.95, 11, values.mean(0), stats.sem(values, axis=0))
    assert np.allclose((low, high), expected)


def test_too_few_values_have_no_interval() -> None:
    assert interval(np.array([2.0]))[0] == 2.0
    assert np.isnan(interval(np.array([2.0]))[1:3]).all()
    assert interval(np.array([np.nan]))[3] == 0
    assert np.isnan(smallest_detectable(1.0, 1))


def test_paired_difference_uses_finished_pairs() -> None:
    a, b = np.array([3.0, 5.0, np.nan, 4.0]), np.array([1.0, 2.0, 3.0, np.nan])
    found = paired_difference(a, b)
    assert (found.mean, found.n, found.lost) == (2.5, 2, 2)
    expected = stats.ttest_rel(a[:2], b[:2]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    with pytest.raises(ValueError, match="one length"):
        paired_difference(a, b[:2])


@pytest.mark.parametrize("n", [2, 5, 10, 40])
def test_smallest_detectable_has_the_power_it_says(n: int) -> None:
    effect = smallest_detectable(2.0, n)
    critical = stats.t.ppf(0.975, n - 1)
    power = stats.nct.sf(critical, n - 1, effect / 2.0 * np.sqrt(n))
    assert power == pytest.approx(0.8, abs=1e-6)
