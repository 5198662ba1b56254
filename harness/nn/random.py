"""Counter-based random numbers as tensor operations, so that a stacked program draws what a loop draws.

The generator is "Squares" (Widynski 2020, arXiv:2004.06278), four rounds with 32 bits of output: a number is a pure
function of a 64-bit key and a 64-bit counter. The key may be a tensor, one for each seed under `torch.func.vmap`.
Arithmetic is modulo 2^64 on int64 tensors.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn

_LOW = 0xFFFFFFFF
_GOLDEN = 0x9E3779B97F4A7C15


def signed(value: int) -> int:
    """The int64 with the same 64 bits as an unsigned integer."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


def name_key(name: str) -> int:
    """A 64-bit constant for a name, as a signed integer."""
    return signed(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def _right(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (the one of int64 tensors keeps the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(key: Tensor, value: Tensor | int) -> Tensor:
    """A new key from a key and a number: splitmix64 seeded with `key`, number `value` of its sequence from 0.

    Keys of different numbers are unrelated. Key 0 is as good as any other: the sequence starts one step from its seed.
    """
    z = key + ((value + 1) * signed(_GOLDEN) if isinstance(value, Tensor) else signed((value + 1) * _GOLDEN))
    z = (z ^ _right(z, 30)) * signed(0xBF58476D1CE4E5B9)
    z = (z ^ _right(z, 27)) * signed(0x94D049BB133111EB)
    return z ^ _right(z, 31)


def squares(key: Tensor, counter: Tensor) -> Tensor:
    """32 random bits for every counter, as int64 in [0, 2^32). `key` is made odd."""
    key = key | 1
    y = counter * key
    z = y + key
    x = y * y + y
    x = _right(x, 32) | (x << 32)
    x = x * x + z
    x = _right(x, 32) | (x << 32)
    x = x * x + y
    x = _right(x, 32) | (x << 32)
    return _right(x * x + z, 32)


def uniform(key: Tensor, shape: tuple[int, ...], dtype: torch.dtype, start: int = 0) -> Tensor:
    """Uniform in [0, 1): 24 bits for float32, 32 for float64. Uses counters start, start + 1, ..."""
    bits = squares(key, torch.arange(start, start + math.prod(shape), device=key.device)).reshape(shape)
    if dtype == torch.float64:
        return bits.to(dtype) * 2.0**-32
    return (bits >> 8).to(dtype) * 2.0**-24


def normal(key: Tensor, shape: tuple[int, ...], dtype: torch.dtype, start: int = 0) -> Tensor:
    """Standard normal by Box and Muller. Uses 2 * prod(shape) counters from `start`."""
    n = math.prod(shape)
    resolution = 2.0**-32 if dtype == torch.float64 else 2.0**-24
    radius = (uniform(key, shape, dtype, start) + resolution).log().mul(-2.0).sqrt()
    return radius * (uniform(key, shape, dtype, start + n) * (2 * math.pi)).cos()


class RandomModule(nn.Module):
    """Base of layers that draw random numbers, each from a stream of its own.

    The trainer sets `stream_key` (one a seed and module) and, before every evaluation of the objective,
    `stream_counter`; every forward pass in training mode takes the next counter. By itself such a layer counts from
    zero. Both are buffers, and are not stored with the weights.
    """

    stream_key: Tensor
    stream_counter: Tensor

    def __init__(self) -> None:
        super().__init__()
        # zero would be a weak key
        self.register_buffer("stream_key", torch.tensor(name_key("harness.nn"), dtype=torch.int64), persistent=False)
        self.register_buffer("stream_counter", torch.zeros((), dtype=torch.int64), persistent=False)

    def next_key(self) -> Tensor:
        """The key of this forward pass; the next call gives another one."""
        key = mix(self.stream_key, self.stream_counter)
        self.stream_counter.add_(1)
        return key
