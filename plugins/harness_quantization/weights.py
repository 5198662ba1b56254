"""Which parameters of a trained network carry its multiplications."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from harness import Trained

Array = np.ndarray[Any, Any]
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


def matrices(trained: Trained, network: str = "model") -> dict[str, Array]:
    """The weight matrices and convolution kernels by parameter name, in the order of the network.

    These are the parameters with two or more axes, output channels first. Biases, gains and the parameters of
    normalisation layers are left out.
    """
    module = trained.module(network)
    norms = {name for name, part in module.named_modules() if isinstance(part, NORMS)}
    weights = trained.weights[network]
    return {
        name: np.asarray(weights[name])
        for name, parameter in module.named_parameters()
        if parameter.ndim >= 2 and name.rpartition(".")[0] not in norms
    }
