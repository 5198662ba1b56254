"""The best group: edge cases, agreement with a plain definition, and its error in simulation."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from harness.stats.best import FLIPS, best_group, sign_flips, smallest_p


def plain(values: np.ndarray, level: float = 0.05) -> np.ndarray:
    """The rule word by word, with t and all flips."""
    inside = np.ones(values.shape[1], bool)

    def strongest(difference: np.ndarray) -> float:
        spread = difference.std(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            t = difference.mean(axis=0) / spread * np.sqrt(len(difference))
        return float(np.max(np.where(np.isnan(t), 0, t)))

    while inside.sum() > 1:
        reached = {}
        for j in np.flatnonzero(inside):
            others = [i for i in np.flatnonzero(inside) if i != j]
            difference = values[:, others] - values[:, [j]]
            observed = strongest(difference)
            flips = [strongest(np.array(s)[:, None] * difference) for s in product([1, -1], repeat=len(values))]
            reached[j] = int((np.array(flips) >= observed - 1e-4).sum()) if observed > 0 else len(flips)
        limit = level * 2 ** len(values)
        leaving = [j for j, count in reached.items() if count <= min(2, limit)]
        inside[leaving or [j for j, count in reached.items() if count <= limit]] = False
        if not leaving:
            break
    return inside


@pytest.mark.parametrize("seeds", [4, 5, 6, 8])
@pytest.mark.parametrize("methods", [2, 3, 6])
def test_agrees_with_the_plain_definition(seeds: int, methods: int) -> None:
    rng = np.random.default_rng(seeds * 10 + methods)
    for spread in (0.0, 1.0, 3.0):
        values = rng.normal(size=(seeds, methods)) + rng.normal(size=(seeds, 1)) + spread * rng.normal(size=methods)
        assert best_group(values).tolist() == plain(values).tolist()


def test_one_method_and_no_seeds() -> None:
    assert best_group(np.ones((5, 1))).tolist() == [True]
    assert best_group(np.ones((1, 3))).tolist() == [True] * 3
    assert best_group(np.full((5, 2), np.nan)).tolist() == [True, True]
    assert best_group(np.ones((6, 0))).tolist() == []
    with pytest.raises(ValueError, match="seeds, methods"):
        best_group(np.ones(3))


def test_identical_columns_stay_together() -> None:
    values = np.random.default_rng(0).normal(size=(10, 1)) + np.array([1.0, 1.0, 0.0])
    assert best_group(values).tolist() == [True, True, False]
    assert best_group(np.ones((10, 4))).all()


def test_two_seeds_tell_nothing_apart() -> None:
    assert best_group(np.array([[0.0, 1.0], [0.0, 1.1]])).all()


def test_a_clear_winner_needs_the_seeds_that_p_allows() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6, 3)) * 0.01 + np.array([2.0, 1.0, 0.0])
    assert best_group(values).tolist() == [True, False, False]
    assert best_group(values[:5]).tolist() == [True, False, False]  # the last leaves first, then 1 of 32 flips suffices
    assert best_group(values[:4]).all()  # 1 of 16 flips is more than 5 %
    assert smallest_p(6) == 2**-5


def test_seeds_with_a_missing_value_are_left_out() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(10, 3)) * 0.1 + np.array([1.0, 0.9, 0.0])
    holed = np.vstack([values, [[np.nan, 5.0, 5.0]], [[0.0, np.inf, 5.0]]])
    assert best_group(holed).tolist() == best_group(values).tolist()


def test_large_offsets_and_scales_change_nothing() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(9, 8)) + np.linspace(0, 3, 8)
    expected = best_group(values).tolist()
    assert best_group(values * 1e-6 + 1e3).tolist() == expected
    assert best_group(np.column_stack([values, np.full(9, -1e9)])).tolist() == [*expected, False]


def test_flips_are_all_or_a_fixed_draw() -> None:
    assert len({tuple(s) for s in np.vstack([sign_flips(6), -sign_flips(6)])}) == 64
    assert (sign_flips(6)[0] == 1).all()
    assert sign_flips(20).shape == (FLIPS // 2, 20)
    assert np.array_equal(sign_flips(20), sign_flips(20))


def errors(methods: int, seeds: int, heavy: bool, boards: int, rng: np.random.Generator) -> tuple[float, float]:
    """How often a truly best method is left out: all methods equal, and one alone at the top by half a deviation."""
    equal = alone = 0.0
    for _ in range(boards):
        shape = (seeds, methods)
        noise = rng.standard_t(3, size=shape) if heavy else rng.normal(size=shape)
        equal += float((~best_group(noise)).mean())
        alone += float(not best_group(noise - 0.5 * (np.arange(methods) > 0))[0])
    return equal / boards, alone / boards


def test_error_in_a_small_simulation() -> None:
    equal, alone = errors(5, 8, False, 150, np.random.default_rng(4))
    assert equal < 0.08  # 0.05 and two and a half standard errors
    assert alone < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("seeds", [5, 10, 20])
@pytest.mark.parametrize("methods", [2, 5, 10, 40])
def test_error_of_the_best_group(methods: int, seeds: int, heavy: bool) -> None:
    boards = 4000 if methods < 40 else 1000
    equal, alone = errors(methods, seeds, heavy, boards, np.random.default_rng(5))
    print(f"{methods} methods, {seeds} seeds, {'t3' if heavy else 'normal'}: {equal:.4f} equal, {alone:.4f} alone")
    assert max(equal, alone) <= 0.06
