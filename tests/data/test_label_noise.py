import numpy as np
import pytest

from harness.data import other_classes, pair_noise, symmetric_noise
from harness.errors import HarnessError
from harness.streams import random

LABELS = np.arange(20_000) % 10


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_symmetric_rate_and_uniform_over_the_other_classes(rate: float) -> None:
    noisy = symmetric_noise(LABELS, rate, 10, random(0, "noise"))
    flipped = noisy != LABELS
    sd = np.sqrt(rate * (1 - rate) / len(LABELS))
    assert abs(flipped.mean() - rate) <= 5 * sd
    assert noisy.dtype == np.int64
    if rate:
        steps = np.bincount((noisy - LABELS)[flipped] % 10, minlength=10)
        expected = flipped.sum() / 9
        assert steps[0] == 0
        assert np.all(np.abs(steps[1:] - expected) < 5 * np.sqrt(expected))


def test_symmetric_at_rate_one_keeps_no_label() -> None:
    labels = LABELS % 2
    assert np.array_equal(symmetric_noise(labels, 1.0, 2, random(0, "noise")), 1 - labels)


def test_a_higher_rate_flips_a_superset() -> None:
    low = symmetric_noise(LABELS, 0.3, 10, random(5, "noise"))
    high = symmetric_noise(LABELS, 0.6, 10, random(5, "noise"))
    moved = low != LABELS
    assert np.array_equal(low[moved], high[moved])


def test_labels_are_independent_of_each_other() -> None:
    flipped = (symmetric_noise(LABELS, 0.5, 10, random(1, "noise")) != LABELS).astype(float) - 0.5
    assert abs(np.mean(flipped[1:] * flipped[:-1])) < 5 * 0.25 / np.sqrt(len(LABELS))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_partners_are_other_classes(classes: int) -> None:
    seen = np.zeros((classes, classes), dtype=int)
    for seed in range(300):
        partner = other_classes(classes, random(seed, "noise/partner"))
        assert partner.dtype == np.int64
        seen[np.arange(classes), partner] += 1
    assert np.all(np.diag(seen) == 0)
    assert np.all(seen[~np.eye(classes, dtype=bool)] > 0)


def test_pair_noise_goes_to_the_partner_only() -> None:
    partner = other_classes(10, random(2, "noise/partner"))
    noisy = pair_noise(LABELS, 0.3, partner, random(2, "noise"))
    flipped = noisy != LABELS
    assert np.array_equal(noisy[flipped], partner[LABELS[flipped]])
    assert abs(flipped.mean() - 0.3) < 5 * np.sqrt(0.21 / len(LABELS))


def test_bad_input() -> None:
    with pytest.raises(HarnessError, match=r"noise rate 1\.5 .* from 0 to 1"):
        symmetric_noise(LABELS, 1.5, 10, random(0, "noise"))
    with pytest.raises(HarnessError, match="noise rate nan"):
        symmetric_noise(LABELS, float("nan"), 10, random(0, "noise"))
    with pytest.raises(HarnessError, match="0 to 4"):
        symmetric_noise(LABELS, 0.1, 5, random(0, "noise"))
    with pytest.raises(HarnessError, match="at least 2 classes"):
        other_classes(1, random(0, "noise"))
