"""Small shifts and pixel noise, drawn on a stream of their own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import Output
from harness.nn import CNN
from harness.nn.random import RandomModule, normal, uniform


class ShiftNoise(RandomModule):
    """In training, moves every image by a whole number of pixels and adds normal noise; does nothing in evaluation.

    Args:
        pixels: largest shift along each axis; every shift up to it is equally likely, zeros come in at the border.
        std: standard deviation of the noise.
    """

    vectorizable = True

    def __init__(self, pixels: int = 1, std: float = 0.05) -> None:
        super().__init__()
        self.pixels = pixels
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        offsets = (uniform(self.next_key(), (2, x.shape[0]), x.dtype) * (2 * self.pixels + 1)).long()
        noise = normal(self.next_key(), tuple(x.shape), x.dtype)
        return shifted(x, offsets[0], offsets[1], self.pixels) + self.std * noise

    def extra_repr(self) -> str:
        return f"pixels={self.pixels}, std={self.std}"


def shifted(x: Tensor, down: Tensor, right: Tensor, pixels: int) -> Tensor:
    """Images (B, C, H, W) moved by `pixels - down` and `pixels - right` (B,), each in 0 .. 2 * pixels, zeros behind.

    An index for each row and column instead of a loop over images: it works in a stacked program.
    """
    height, width = x.shape[-2:]
    padded = F.pad(x, (pixels, pixels, pixels, pixels))
    rows = torch.arange(height, device=x.device) + down[:, None]
    columns = torch.arange(width, device=x.device) + right[:, None]
    channels = x.shape[1]
    taken = padded.gather(2, rows[:, None, :, None].expand(-1, channels, -1, padded.shape[-1]))
    return taken.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))


class AugmentedCNN(CNN):
    """A `harness.nn.CNN` that looks at its inputs through `ShiftNoise` in training; the same parameters by name."""

    def __init__(
        self, channels_in: int, widths: tuple[int, ...], classes: int, pixels: int = 1, std: float = 0.05
    ) -> None:
        super().__init__(channels_in, widths, classes)
        self.augment = ShiftNoise(pixels, std)

    def forward(self, x: Tensor) -> Output:
        return super().forward(self.augment(x))
