"""A search space of 125 small networks that share one set of weights."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from harness import HarnessError, Output
from harness.nn import RandomModule, uniform

OPERATIONS = ("none", "skip", "conv1x1", "conv3x3", "avgpool3x3")
EDGES = 3


class PathDraw(RandomModule):
    """A uniform draw of one operation for each edge, from the network's own stream, a new one at every forward pass."""

    def forward(self, x: Tensor) -> tuple[int, ...]:
        draws = uniform(self.next_key(), (EDGES,), x.dtype)
        return tuple(int(number * len(OPERATIONS)) for number in draws.tolist())


class Operation(nn.Module):
    """One operation with parameters on (B, channels, height, width): ReLU, convolution, batch normalisation."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.conv(F.relu(x)))
        return normed


class Edge(nn.Module):
    """The operations between two nodes; those with parameters exist only if `operations` names them."""

    def __init__(self, channels: int, operations: Sequence[str]) -> None:
        super().__init__()
        self.kernels = nn.ModuleDict(
            {name: Operation(channels, int(name[-1])) for name in operations if name.startswith("conv")}
        )

    def forward(self, x: Tensor, operation: int) -> Tensor:
        name = OPERATIONS[operation]
        if name == "none":
            return x * 0.0
        if name == "skip":
            return x
        if name == "avgpool3x3":
            return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        result: Tensor = self.kernels[name](x)
        return result


class Cell(nn.Module):
    """Three nodes: n1 = e0(n0), n2 = e1(n0) + e2(n1); n2 is the output."""

    def __init__(self, channels: int, operations: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.edges = nn.ModuleList(Edge(channels, names) for names in operations)

    def forward(self, x: Tensor, path: Sequence[int]) -> Tensor:
        first = self.edges[0](x, path[0])
        result: Tensor = self.edges[1](x, path[1]) + self.edges[2](first, path[2])
        return result


class CellNetwork(nn.Module):
    """Stem conv3x3, cell, maxpool 2, cell, normalisation, global average pool, linear.

    The space is that of lu2023pada's small benchmark, after NAS-Bench-201: 3 edges with one of 5 operations each, the
    same choice in all cells. Batch normalisation always uses the statistics of the batch at hand, in evaluation too, so
    that the weights of the supernet can be judged under any architecture.

    Args:
        architecture: index into `OPERATIONS` for each edge. None is the supernet: every forward pass in training draws
            one path uniformly (single path, one-shot), and it cannot be evaluated.
        channels: of all feature maps.
        cells: number of cells, with a maxpool between two of them.
        classes: number of logits.

    Python chooses the operations, so it is trained in a loop over seeds, not stacked.
    """

    vectorizable = False

    def __init__(
        self,
        architecture: Sequence[int] | None = None,
        channels: int = 16,
        cells: int = 2,
        classes: int = 10,
    ) -> None:
        super().__init__()
        self.architecture = None if architecture is None else checked(architecture)
        named = [OPERATIONS if self.architecture is None else (OPERATIONS[self.architecture[e]],) for e in range(EDGES)]
        self.path = PathDraw()
        self.stem = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.stem_norm = _norm(channels)
        self.cells = nn.ModuleList(Cell(channels, named) for _ in range(cells))
        self.last_norm = _norm(channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Output:
        path = self._choose(x)
        x = self.stem_norm(self.stem(x))
        for position, cell in enumerate(self.cells):
            x = cell(F.max_pool2d(x, 2) if position else x, path)
        features = F.relu(self.last_norm(x)).mean((2, 3))
        return Output(self.head(features), features)

    def _choose(self, x: Tensor) -> tuple[int, ...]:
        if self.architecture is not None:
            return self.architecture
        if not self.training:
            raise HarnessError("a supernet is evaluated under an architecture: set the option 'architecture'")
        path: tuple[int, ...] = self.path(x)
        return path


def checked(architecture: Sequence[int]) -> tuple[int, ...]:
    """The architecture as a tuple, or an error."""
    found = tuple(int(operation) for operation in architecture)
    if len(found) != EDGES or not all(0 <= operation < len(OPERATIONS) for operation in found):
        raise HarnessError(f"an architecture is {EDGES} numbers from 0 to {len(OPERATIONS) - 1}; given {found}")
    return found


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, track_running_stats=False)
