"""Examples drawn in proportion to their loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from harness import HarnessError, RecipeChange, Weighted, checked_number

if TYPE_CHECKING:
    from harness import Context, Recipe, SeedView
    from harness.interfaces.problem import Array


class LossProportional(RecipeChange):
    """Draws example i with probability q_i = tau l_i / sum_j l_j + (1 - tau) / n, where l_i is its current loss.

    The losses of all training examples are taken anew at the end of every epoch, in evaluation mode; the first epoch
    is plain shuffling. An epoch is n draws with replacement. Losses that can be negative are shifted so that the
    smallest is 0; where all are equal, or one is not finite, q is uniform. With tau = 0 the sampler is switched off:
    the recipe stays as it is, so training equals plain shuffling bit for bit.

    The scoring pass costs one forward pass over the training set an epoch, and no gradient.

    Args:
        tau: share of the draws that follows the loss, in [0, 1].
        unbiased: True lets each draw count 1 / (n q_i) in the loss, so that the expected gradient is that of uniform
            sampling; tau = 1 then gives an example with a small loss a weight without bound.

    Source: the loss as importance in Katharopoulos and Fleuret, Not All Samples Are Created Equal, ICML 2018 (their
    baseline "loss"); smoothing with the uniform distribution as in lu2023pada.
    """

    vectorizable: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"tau": (0.1, 1.0), "unbiased": [False, True]}

    def __init__(self, tau: float = 0.5, unbiased: bool = False) -> None:
        self.tau = checked_number("loss-proportional", "tau", tau, 0, 1)
        if not isinstance(unbiased, bool):
            raise HarnessError(f"loss-proportional: unbiased = {unbiased!r} is not accepted: true or false")
        self.unbiased = unbiased

    def configure(self, recipe: Recipe, context: Context) -> Recipe:
        if self.tau == 0:
            return recipe
        name = next(iter(recipe.sources))
        return recipe.with_source(name, sampler=Weighted(unbiased=self.unbiased)).with_hook(_Reweigh(name, self.tau))


class _Reweigh:
    """The hook at the end of an epoch."""

    def __init__(self, source: str, tau: float) -> None:
        self.source = source
        self.tau = tau

    def __call__(self, view: SeedView) -> None:
        view.set_weights(self.source, probabilities(view.losses(self.source), self.tau))


def probabilities(losses: Array, tau: float) -> Array:
    """q (n,), positive for tau < 1, with sum 1, from losses (n,); see `LossProportional`."""
    losses = np.asarray(losses, dtype=np.float64)
    uniform = np.full(len(losses), 1.0 / len(losses))
    if not np.isfinite(losses).all():
        return uniform
    shifted = losses - min(0.0, float(losses.min()))
    largest = shifted.max()
    if not 0 < largest < np.inf:
        return uniform
    share = shifted / largest
    return np.asarray(tau * share / share.sum() + (1 - tau) * uniform)
