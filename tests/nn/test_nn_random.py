"""The counter-based generator, against whole numbers of Python and against what random numbers should look like."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from harness.nn import GaussianNoise, mix, normal, uniform
from harness.nn.random import name_key, signed, squares

MASK = (1 << 64) - 1


def squares_in_python(key, counter):
    """Widynski 2020: four rounds of squaring, 32 bits out."""
    key |= 1
    x = y = (counter * key) & MASK
    z = (y + key) & MASK
    for add in (y, z, y):
        x = (x * x + add) & MASK
        x = (x >> 32) | ((x << 32) & MASK)
    return ((x * x + z) & MASK) >> 32


def splitmix_in_python(key, value):
    z = (key + (value + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_equals_whole_numbers_of_python():
    rng = np.random.default_rng(0)
    for key in [0, 1, MASK, *(int(k) for k in rng.integers(0, 1 << 63, 20) * 2 + 1)]:
        counters = [0, 1, 2, 3, 1 << 20, 1 << 40, (1 << 62) + 5]
        got = squares(torch.tensor(signed(key)), torch.tensor(counters)).tolist()
        assert got == [squares_in_python(key, c) for c in counters]
        assert mix(torch.tensor(signed(key)), 12345).item() & MASK == splitmix_in_python(key, 12345)
        assert mix(torch.tensor(signed(key)), torch.tensor(7)).item() & MASK == splitmix_in_python(key, 7)


def test_a_batched_key_draws_what_each_key_draws():
    keys = torch.tensor([signed(k * 0x1234567890ABCDEF) for k in range(1, 6)])
    both = torch.func.vmap(lambda k: uniform(mix(k, 3), (4, 5), torch.float64))(keys)
    for key, drawn in zip(keys, both, strict=True):
        assert torch.equal(uniform(mix(key, 3), (4, 5), torch.float64), drawn)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_and_normal_are_distributed_as_they_should(dtype):
    key = mix(torch.tensor(name_key("a stream")), 1)
    u = uniform(key, (200_000,), dtype).double().numpy()
    assert u.min() >= 0
    assert u.max() < 1
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    z = normal(key, (200_000,), dtype).double().numpy()
    assert np.isfinite(z).all()
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs(stats.kurtosis(z)) < 0.05


def test_streams_of_neighbouring_steps_names_and_seeds_are_independent():
    base = torch.tensor(signed(0xDEADBEEF12345678))
    streams = [mix(mix(base, name_key(name)), step) for name in ("a", "b") for step in range(6)]
    streams += [mix(mix(base + seed, name_key("a")), 0) for seed in range(1, 5)]
    drawn = torch.stack([uniform(key, (20_000,), torch.float64) for key in streams]).numpy()
    correlation = np.corrcoef(drawn) - np.eye(len(streams))
    assert np.abs(correlation).max() < 4.5 / math.sqrt(20_000)
    pairs = np.stack([drawn[0], drawn[1]], 1)
    counts = np.histogram2d(pairs[:, 0], pairs[:, 1], bins=16)[0]
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    serial = np.corrcoef(drawn[0][:-1], drawn[0][1:])[0, 1]
    assert abs(serial) < 4.5 / math.sqrt(20_000)


def test_a_key_of_zero_is_as_good_as_any_other():
    """The first outputs of splitmix64 with seed 0, as published; and a layer that nobody has keyed is random."""
    published = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert [mix(torch.tensor(0), n).item() & MASK for n in range(3)] == published
    layer = GaussianNoise(1.0)
    for key in (layer.stream_key.item(), 0):
        layer.stream_key.fill_(key)
        layer.stream_counter.zero_()
        drawn = torch.stack([layer(torch.zeros(20_000, dtype=torch.float64)) for _ in range(3)])
        assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
        assert np.abs(np.corrcoef(drawn.numpy()) - np.eye(3)).max() < 4.5 / math.sqrt(20_000)


def test_every_bit_is_as_often_set_as_not():
    bits = squares(mix(torch.tensor(5), 1), torch.arange(100_000))
    share = np.array([((bits >> b) & 1).double().mean().item() for b in range(32)])
    assert np.abs(share - 0.5).max() < 4.5 * 0.5 / math.sqrt(100_000)
