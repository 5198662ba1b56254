from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from harness_quantization.full_precision import FullPrecision
from harness_quantization.models import Bundle
from harness_quantization.round_to_nearest import RoundToNearest, quantize
from harness_quantization.tasks import bits_used, relative_error
from harness_quantization.weights import matrices
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness import HarnessError, Network, Problem, Trained
from harness.nn import CNN

CONTEXT: Any = SimpleNamespace()
WEIGHTS = hnp.arrays(np.float64, (4, 6), elements=st.floats(-1e3, 1e3, allow_subnormal=False))
BITS = st.integers(2, 12)
CHANNEL = st.booleans()


def bundle(**tensors: np.ndarray) -> Trained:
    rows, columns = next(iter(tensors.values())).shape
    network = Network(Bundle, {"names": tuple(tensors), "rows": rows, "columns": columns})
    return Trained({"model": network}, {"model": tensors})


def cnn() -> Trained:
    network = Network(CNN, {"widths": (4, 6), "pool": (2,)})
    module = CNN(widths=(4, 6), pool=(2,))
    return Trained({"model": network}, {"model": {k: v.numpy().copy() for k, v in module.state_dict().items()}})


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, BITS, CHANNEL)
def test_the_error_is_at_most_half_a_step(weight: np.ndarray, bits: int, channel: bool) -> None:
    scale = np.abs(weight).max(axis=1, keepdims=True) if channel else np.abs(weight).max()
    step = scale / (2 ** (bits - 1) - 1)
    assert (np.abs(quantize(weight, bits, channel) - weight) <= step / 2 * (1 + 1e-9)).all()


@settings(max_examples=60, deadline=None)
@given(WEIGHTS, BITS, CHANNEL)
def test_identities(weight: np.ndarray, bits: int, channel: bool) -> None:
    once = quantize(weight, bits, channel)
    np.testing.assert_allclose(quantize(once, bits, channel), once, rtol=1e-12)
    np.testing.assert_array_equal(quantize(-weight, bits, channel), -once)
    assert (once[weight == 0] == 0).all()
    np.testing.assert_allclose(quantize(4 * weight, bits, channel), 4 * once, rtol=1e-12)
    assert bits_used(once) <= np.log2(2**bits - 1) + 1e-12
    # the largest weight is on the grid
    assert np.abs(once).max() == pytest.approx(np.abs(weight).max())


def test_known_values() -> None:
    weight = np.array([[-1.0, -0.4, 0.0, 0.1, 0.6, 3.0]], dtype=np.float32)
    # L = 3, s = 3: whole numbers
    np.testing.assert_array_equal(quantize(weight, 3), [[-1, 0, 0, 0, 1, 3]])
    assert quantize(weight, 3).dtype == np.float32
    # two bits leave a sign and zero
    np.testing.assert_array_equal(quantize(weight, 2), [[0, 0, 0, 0, 0, 3]])
    two = np.array([[1.0, 0.3], [10.0, 3.0]])
    np.testing.assert_array_equal(quantize(two, 2, per_channel=True), [[1, 0], [10, 0]])
    np.testing.assert_array_equal(quantize(two, 2), [[0, 0], [10, 0]])


def test_more_bits_and_finer_scales_lose_less() -> None:
    weight = np.random.default_rng(0).standard_normal((50, 80)) * np.geomspace(0.1, 10, 50)[:, None]
    errors = [relative_error(weight, quantize(weight, bits)) for bits in range(2, 10)]
    assert all(late < early for early, late in itertools.pairwise(errors))
    assert relative_error(weight, quantize(weight, 4, per_channel=True)) < relative_error(weight, quantize(weight, 4))


def test_only_matrices_and_kernels_change() -> None:
    before = cnn()
    after = RoundToNearest(bits=3).transform(before, Problem("classification"), CONTEXT)
    changed = {
        name
        for name, value in before.weights["model"].items()
        if not np.array_equal(value, after.weights["model"][name])
    }
    assert changed == {"blocks.0.conv.weight", "blocks.1.conv.weight", "head.weight"} == set(matrices(before))
    assert set(after.weights["model"]) == set(before.weights["model"])


def test_per_channel_scales_belong_to_output_channels() -> None:
    before = cnn()
    after = RoundToNearest(bits=4, granularity="channel").transform(before, Problem("classification"), CONTEXT)
    for name, weight in matrices(before).items():
        rounded = after.weights["model"][name]
        for channel, original in zip(rounded, weight, strict=True):
            np.testing.assert_array_equal(channel, quantize(original[None], 4)[0])


def test_bits_come_from_the_method_then_from_the_task() -> None:
    before = bundle(a=np.random.default_rng(0).standard_normal((4, 50)))
    task = Problem("tensors", info={"bits": 3})
    own = RoundToNearest(bits=6).transform(before, task, CONTEXT).weights["model"]["a"]
    np.testing.assert_array_equal(own, quantize(before.weights["model"]["a"], 6))
    given = RoundToNearest().transform(before, task, CONTEXT).weights["model"]["a"]
    np.testing.assert_array_equal(given, quantize(before.weights["model"]["a"], 3))
    with pytest.raises(HarnessError, match=r"round-to-nearest\[bits=4\]"):
        RoundToNearest().transform(before, Problem("tensors"), CONTEXT)


@pytest.mark.parametrize("bits", [1, 0, 17, 4.0, True, "4"])
def test_bits_out_of_range_are_an_error(bits: Any) -> None:
    with pytest.raises(HarnessError, match="from 2 to 16"):
        RoundToNearest(bits=bits)


def test_other_wrong_input_is_an_error() -> None:
    with pytest.raises(HarnessError, match="known: tensor, channel"):
        RoundToNearest(granularity="row")  # type: ignore[arg-type]
    with pytest.raises(HarnessError, match="'a' has some that are not"):
        RoundToNearest(bits=4).transform(bundle(a=np.full((2, 2), np.nan)), Problem("tensors"), CONTEXT)


def test_zeros_stay_zeros_without_a_scale() -> None:
    after = RoundToNearest(bits=4).transform(bundle(a=np.zeros((2, 3))), Problem("tensors"), CONTEXT)
    np.testing.assert_array_equal(after.weights["model"]["a"], 0)


def test_full_precision_is_the_identity() -> None:
    before = cnn()
    assert FullPrecision().transform(before, Problem("classification"), CONTEXT) is before
