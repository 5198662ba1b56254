"""Small shifts and pixel noise, as a view of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from harness.interfaces.step import Draws


@dataclass(frozen=True)
class ShiftNoise:
    """A view: every image moves by a whole number of pixels and gets normal noise.

    Attributes:
        pixels: largest shift along each axis; every shift up to it is equally likely, zeros come in at the border.
        std: standard deviation of the noise.
    """

    pixels: int = 1
    std: float = 0.05

    def __call__(self, x: Tensor, draws: Draws) -> Tensor:
        """Images (B, C, H, W) as they are seen this time."""
        offsets = (draws.uniform((2, x.shape[0])) * (2 * self.pixels + 1)).long()
        return shifted(x, offsets[0], offsets[1], self.pixels) + self.std * draws.normal(tuple(x.shape))


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
