"""Which weights may be pruned, and masks with an exact number of zeros."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from harness import HarnessError, Trained

Array = np.ndarray[Any, Any]
KEPT = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.Embedding)


def prunable(trained: Trained, network: str = "model") -> dict[str, Array]:
    """Weight matrices and kernels by parameter name, in the order of the network, without the last one.

    The last one is taken for the classifier. Embeddings, normalisation layers and all parameters with one axis (biases,
    gains) are left out.

    Raises:
        HarnessError: the network has no such weight, or one that is not finite.
    """
    module = trained.module(network)
    kept = {name for name, part in module.named_modules() if isinstance(part, KEPT)}
    names = [
        name
        for name, parameter in module.named_parameters()
        if parameter.ndim >= 2 and name.rpartition(".")[0] not in kept
    ][:-1]
    if not names:
        raise HarnessError("nothing to prune: the network has no weight matrix besides its last one")
    weights = {name: np.asarray(trained.weights[network][name]) for name in names}
    for name, weight in weights.items():
        if not np.isfinite(weight).all():
            raise HarnessError(f"pruning needs finite weights; '{name}' has some that are not")
    return weights


def cut(scores: Mapping[str, Array], sparsity: float) -> dict[str, Array]:
    """0/1 masks, float32, with exactly round(sparsity * n) zeros over all n scores jointly, at the lowest ones.

    Halves are rounded to the even number; of equal scores the first is cut first.
    """
    flat = np.concatenate([score.ravel() for score in scores.values()])
    mask = np.ones(len(flat), dtype=np.float32)
    mask[np.argsort(flat, kind="stable")[: round(sparsity * len(flat))]] = 0.0
    masks, start = {}, 0
    for name, score in scores.items():
        masks[name] = mask[start : start + score.size].reshape(score.shape)
        start += score.size
    return masks
