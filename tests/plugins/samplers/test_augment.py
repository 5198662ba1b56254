"""Shifts and pixel noise."""

import numpy as np
import torch
from harness_samplers.augment import ShiftNoise, shifted

from harness.nn import mix
from harness.training.program import StepDraws


def images(rows: int = 9) -> torch.Tensor:
    return torch.rand(rows, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1


def draws(number: int = 0, key: int | torch.Tensor = 0x1234_5678_9ABC_DEF1) -> StepDraws:
    """A stream as the trainer gives it at step `number`."""
    return StepDraws(mix(torch.as_tensor(key), number), torch.float32)


def test_shift_against_slices() -> None:
    x = images()
    down = torch.arange(9) % 3
    right = torch.arange(9) // 3
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i, image in enumerate(shifted(x, down, right, 1)):
        top, left = int(down[i]), int(right[i])
        np.testing.assert_array_equal(image, padded[i, :, top : top + 8, left : left + 8])
    centre = torch.ones(9, dtype=torch.int64)
    assert torch.equal(shifted(x, centre, centre, 1), x)


def test_every_shift_is_equally_likely() -> None:
    x = torch.zeros(9000, 1, 3, 3)
    x[:, :, 1, 1] = 1
    where = ShiftNoise(std=0.0)(x, draws()).reshape(9000, 9).sum(0)
    assert where.sum() == 9000
    assert torch.all((where - 1000).abs() < 5 * np.sqrt(1000))


def test_noise_has_the_stated_deviation() -> None:
    noise = ShiftNoise()(torch.zeros(500, 1, 8, 8), draws())
    assert abs(noise.std().item() - 0.05) < 0.002
    assert abs(noise.mean().item()) < 0.002


def test_a_function_of_inputs_and_stream() -> None:
    x = images()
    view = ShiftNoise()
    assert torch.equal(view(x, draws(1)), view(x, draws(1)))
    assert not torch.equal(view(x, draws(1)), view(x, draws(2)))
    assert torch.equal(ShiftNoise(pixels=0, std=0.0)(x, draws()), x)


def test_stacked_equals_alone() -> None:
    x = torch.stack([images(), images() * 2])
    keys = torch.tensor([0x1234_5678_9ABC_DEF1, -0x7654_3210_FEDC_BA99])

    def run(key: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        return ShiftNoise()(batch, draws(3, key))

    stacked = torch.func.vmap(run)(keys, x)
    for i in range(2):
        torch.testing.assert_close(stacked[i], run(keys[i], x[i]))
