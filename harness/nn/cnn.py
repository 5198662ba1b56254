"""A plain convolutional network."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.interfaces.step import Output
from harness.nn.dropout import Dropout
from harness.nn.mlp import activation_layer


class Block(nn.Module):
    """Convolution, normalisation, activation, and max-pooling by two where asked."""

    def __init__(self, before: int, after: int, kernel: int, norm: str, activation: str, pool: bool) -> None:
        super().__init__()
        # a bias in front of a normalisation cancels out
        self.conv = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=norm == "none")
        self.norm = nn.BatchNorm2d(after) if norm == "batch" else nn.Identity()
        self.activation = activation_layer(activation)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.conv(x)))
        return F.max_pool2d(x, 2) if self.pool else x


class CNN(nn.Module):
    """Blocks of convolution, normalisation and activation, then a linear head.

    The defaults are `conv3x3(1, 32)-BN-ReLU, conv3x3(32, 64)-BN-ReLU, maxpool2, conv3x3(64, 64)-BN-ReLU, global
    average pool, linear(64, 10)`.

    Args:
        channels_in: channels of the input (B, channels_in, height, width).
        widths: output channels of the blocks.
        classes: number of logits.
        pool: blocks, counted from 1, that end with max-pooling by two.
        norm: "batch" or "none".
        kernel: side of the convolutions, odd; the image keeps its size.
        head: "gap" (global average pool) or "flatten".
        size: height and width of the input, needed by "flatten" only.
        dropout: probability of dropping a feature before the head.
        activation: as in `MLP`.

    Returns (forward): logits (B, classes) and features, the input of the head.
    """

    vectorizable = True

    def __init__(
        self,
        channels_in: int = 1,
        widths: Sequence[int] = (32, 64, 64),
        classes: int = 10,
        pool: Sequence[int] = (2,),
        norm: str = "batch",
        kernel: int = 3,
        head: str = "gap",
        size: int | tuple[int, int] = 8,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        _check(widths, pool, norm, kernel, head)
        channels = [channels_in, *widths]
        self.blocks = nn.Sequential(
            *(Block(channels[i], channels[i + 1], kernel, norm, activation, i + 1 in pool) for i in range(len(widths)))
        )
        self.gap = head == "gap"
        features = channels[-1]
        if not self.gap:
            height, width = (size, size) if isinstance(size, int) else size
            features *= (height >> len(pool)) * (width >> len(pool))
        self.dropout = Dropout(dropout) if dropout > 0 else nn.Identity()
        self.head = nn.Linear(features, classes)

    def forward(self, x: Tensor) -> Output:
        maps = self.blocks(x)
        features = self.dropout(maps.mean((2, 3)) if self.gap else maps.flatten(1))
        return Output(self.head(features), features)


def _check(widths: Sequence[int], pool: Sequence[int], norm: str, kernel: int, head: str) -> None:
    if norm not in ("batch", "none"):
        raise HarnessError(f"unknown normalisation '{norm}' of CNN; known: batch, none")
    if head not in ("gap", "flatten"):
        raise HarnessError(f"unknown head '{head}' of CNN; known: gap, flatten")
    if kernel % 2 == 0:
        raise HarnessError(f"the kernel of CNN must be odd, not {kernel}")
    if not widths:
        raise HarnessError("CNN needs at least one block; widths is empty")
    wrong = [block for block in pool if not 1 <= block <= len(widths)]
    if wrong or len(set(pool)) < len(pool):
        raise HarnessError(f"pool = {tuple(pool)} of CNN must name different blocks from 1 to {len(widths)}")
