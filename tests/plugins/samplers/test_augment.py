"""Shifts and pixel noise."""

import numpy as np
import torch
from harness_samplers.augment import AugmentedCNN, ShiftNoise, shifted

from harness.nn import CNN


def images(rows: int = 9) -> torch.Tensor:
    return torch.rand(rows, 2, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.1


def layer(pixels: int = 1, std: float = 0.05) -> ShiftNoise:
    """In training, on a stream as the trainer would give it."""
    made = ShiftNoise(pixels, std).train()
    made.stream_key.fill_(0x1234_5678_9ABC_DEF1)
    return made


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
    where = layer(std=0.0)(x).reshape(9000, 9).sum(0)
    assert where.sum() == 9000
    assert torch.all((where - 1000).abs() < 5 * np.sqrt(1000))


def test_noise_has_the_stated_deviation() -> None:
    noise = layer()(torch.zeros(500, 1, 8, 8))
    assert abs(noise.std().item() - 0.05) < 0.002
    assert abs(noise.mean().item()) < 0.002


def test_fresh_in_every_pass_and_nothing_in_evaluation() -> None:
    shift = layer()
    x = images()
    assert not torch.equal(shift(x), shift(x))
    assert torch.equal(shift.eval()(x), x)


def test_stacked_equals_alone() -> None:
    x = torch.stack([images(), images() * 2])
    keys = torch.tensor([0x1234_5678_9ABC_DEF1, -0x7654_3210_FEDC_BA99])

    def run(key: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        state = {"stream_key": key, "stream_counter": torch.zeros_like(key)}
        return torch.func.functional_call(ShiftNoise().train(), state, (batch,))

    stacked = torch.func.vmap(run)(keys, x)
    for i in range(2):
        torch.testing.assert_close(stacked[i], run(keys[i], x[i]))


def test_same_network_as_without_augmentation() -> None:
    torch.manual_seed(0)
    augmented = AugmentedCNN(1, (16, 32, 64), 10)
    plain = CNN(1, (16, 32, 64), 10)
    assert [n for n, _ in augmented.named_parameters()] == [n for n, _ in plain.named_parameters()]
    assert sum(p.numel() for p in augmented.parameters()) == 24_058
    plain.load_state_dict(augmented.state_dict())
    x = torch.rand(3, 1, 8, 8)
    assert torch.equal(augmented.eval()(x).logits, plain.eval()(x).logits)
