"""What ptq-weights quantizes: a bundle of random matrices, or a small convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness import FunctionLoss, Network, Optimizer, Output, Problem, Recipe, Source, Trained
from harness.nn import CNN

if TYPE_CHECKING:
    from harness import Context

Array = np.ndarray[Any, Any]
# conv3x3 1-16, conv3x3 16-32, maxpool 2, conv3x3 32-32, maxpool 2, linear 128-10; each convolution is followed by batch
# normalisation and ReLU: about 15,000 weights
SMALL_CNN = {"channels_in": 1, "widths": (16, 32, 32), "pool": (2, 3), "head": "flatten", "size": 8}


class Bundle(nn.Module):
    """Independent matrices side by side: inputs (n, columns) -> all products (n, matrices * rows).

    Args:
        names: of the matrices, each a parameter (rows, columns).
        rows, columns: of each matrix.
    """

    def __init__(self, names: tuple[str, ...], rows: int, columns: int) -> None:
        super().__init__()
        self.names = tuple(names)
        for name in self.names:
            self.register_parameter(name, nn.Parameter(torch.zeros(rows, columns)))

    def forward(self, x: Tensor) -> Output:
        return Output(torch.cat([functional.linear(x, self.get_parameter(name)) for name in self.names], dim=1))


def bundle(problem: Problem) -> Trained:
    """The matrices of `problem.splits` as a network without a recipe."""
    tensors = {name: split.x for name, split in problem.splits.items() if name in problem.info["tensors"]}
    rows, columns = next(iter(tensors.values())).shape
    network = Network(Bundle, {"names": tuple(tensors), "rows": rows, "columns": columns})
    return Trained({"model": network}, {"model": tensors})


def recipe(problem: Problem) -> Recipe:
    """Cross-entropy with Adam 1e-3 and batches of 64, for `problem.info["epochs"]` epochs."""
    return Recipe(
        networks={"model": Network(CNN, {**SMALL_CNN, "classes": problem.classes})},
        sources={"labelled": Source(problem.train.x, problem.train.y, batch=64)},
        terms={"loss": FunctionLoss(functional.cross_entropy)},
        optimizers=(("*", Optimizer(torch.optim.Adam, {"lr": 1e-3}, elementwise=True)),),
        epochs=int(problem.info["epochs"]),
        record=False,
    )


def build_base(problem: Problem, context: Context) -> dict[str, Array]:
    """The trained network as "model/<parameter>" arrays; nothing to train for the bundle of tensors."""
    if problem.kind == "tensors":
        return {f"model/{name}": value for name, value in bundle(problem).weights["model"].items()}
    weights = context.train(recipe(problem)).weights["model"]
    return {f"model/{name}": np.asarray(value) for name, value in weights.items()}


def base(problem: Problem, context: Context) -> Trained:
    """The model to be quantized, from the artifact "base"."""
    if problem.kind == "tensors":
        return bundle(problem)
    how = recipe(problem)
    stored = context.artifact("base")
    weights = {name.removeprefix("model/"): value for name, value in stored.items()}
    return Trained(how.networks, {"model": weights}, how)
