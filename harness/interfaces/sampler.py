"""How the batches of a source are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from harness.interfaces.problem import Array


class Sampler(ABC):
    """Draws one epoch of positions. Must be a frozen dataclass; what changes during training lives in the weights."""

    @abstractmethod
    def epoch(self, n: int, weights: Array | None, random: np.random.Generator) -> tuple[Array, Array | None]:
        """One epoch of draws.

        Args:
            n: number of examples of the source.
            weights: one weight an example, as last set through `SeedView.set_weights`, or None.
            random: a fresh stream for this source and epoch.

        Returns:
            positions, int64 (n,), and the weight of each draw in the loss (n,), or None for all ones.
        """


@dataclass(frozen=True)
class Shuffle(Sampler):
    """Every example once an epoch, in random order; weights are ignored."""

    def epoch(self, n: int, weights: Array | None, random: np.random.Generator) -> tuple[Array, Array | None]:
        return random.permutation(n), None


@dataclass(frozen=True)
class Weighted(Sampler):
    """n draws with replacement, example i with probability q_i proportional to its weight.

    Before weights are set it shuffles. With `unbiased`, each draw counts 1 / (n q_i) in the loss, so that the
    expected gradient is that of uniform sampling.
    """

    unbiased: bool = False

    def epoch(self, n: int, weights: Array | None, random: np.random.Generator) -> tuple[Array, Array | None]:
        if weights is None:
            return random.permutation(n), None
        probability = np.asarray(weights, dtype=np.float64)
        probability = probability / probability.sum()
        positions = random.choice(n, size=n, replace=True, p=probability)
        return positions, (1.0 / (n * probability[positions])) if self.unbiased else None
