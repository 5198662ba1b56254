"""Uniform symmetric quantization of weights, without data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from harness import HarnessError, Transform
from harness_quantization.weights import Array, matrices

if TYPE_CHECKING:
    from harness import Context, Problem, Trained

FEWEST, MOST = 2, 16


class RoundToNearest(Transform):
    """Rounds every weight to the nearest of 2 L + 1 equally spaced values, L = 2^(bits-1) - 1.

    With s = max|w|, the code is q = round(L w / s) and the weight becomes q s / L; halves go to the even code. It is
    the power quantizer of yvinec2023nupes at exponent 1. Matrices and convolution kernels are quantized, biases and
    normalisation layers stay as they are.

    Args:
        bits: of a code, 2 to 16; None takes the task's own, `problem.info["bits"]`.
        granularity: one s for a whole "tensor", or one for each output "channel" (first axis).

    Raises:
        HarnessError: bits out of range or not known, or weights that are not finite.
    """

    def __init__(self, bits: int | None = None, granularity: Literal["tensor", "channel"] = "tensor") -> None:
        if bits is not None:
            check_bits(bits)
        if granularity not in ("tensor", "channel"):
            raise HarnessError(f"unknown granularity '{granularity}' of round-to-nearest; known: tensor, channel")
        self.bits = bits
        self.granularity = granularity

    def transform(self, trained: Trained, problem: Problem, context: Context) -> Trained:
        bits = bits_of(self.bits, problem)
        changed = trained
        for network in trained.networks:
            found = matrices(trained, network)
            rounded = {name: self._round(name, weight, bits) for name, weight in found.items()}
            changed = changed.with_weights(rounded, network)
        return changed

    def _round(self, name: str, weight: Array, bits: int) -> Array:
        if not np.isfinite(weight).all():
            raise HarnessError(f"round-to-nearest needs finite weights; '{name}' has some that are not")
        return quantize(weight, bits, per_channel=self.granularity == "channel")


def quantize(weight: Array, bits: int, per_channel: bool = False) -> Array:
    """The nearest values on the symmetric uniform grid, in the dtype of `weight`.

    Args:
        per_channel: one scale for each index of the first axis instead of one for all.
    """
    largest = 2 ** (bits - 1) - 1
    axes = tuple(range(1, weight.ndim)) if per_channel else None
    scale = np.abs(weight.astype(np.float64)).max(axis=axes, keepdims=True)
    scale = np.where(scale == 0, 1.0, scale)
    codes = np.round(largest * weight.astype(np.float64) / scale)
    restored: Array = (codes * scale / largest).astype(weight.dtype)
    return restored


def bits_of(bits: int | None, problem: Problem) -> int:
    """The method's own number of bits, else the task's."""
    if bits is not None:
        return bits
    if "bits" not in problem.info:
        raise HarnessError("the task sets no bits: give the quantizer its own, round-to-nearest[bits=4]")
    return check_bits(problem.info["bits"])


def check_bits(bits: int) -> int:
    """`bits` if it is an integer from 2 to 16, else an error."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not FEWEST <= bits <= MOST:
        raise HarnessError(f"bits must be an integer from {FEWEST} to {MOST}; given {bits!r}")
    return bits
