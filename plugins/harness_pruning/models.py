"""The network of oneshot-prune-digits, before and after pre-training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from harness import FunctionLoss, Network, Optimizer, Problem, Recipe, Source, Split, Trained
from harness.nn import MLP
from harness_pruning.masks import Array

if TYPE_CHECKING:
    from harness import Context

NETWORK = Network(MLP, {"inputs": 64, "widths": (300, 100), "classes": 10})


def glorot(context: Context) -> dict[str, Array]:
    """Initial values: weights N(0, 2 / (rows + columns)), biases zero."""
    start = {}
    for name, parameter in NETWORK.factory(**NETWORK.options).named_parameters():
        shape = tuple(parameter.shape)
        drawn = context.random(f"init/{name}").standard_normal(shape) if len(shape) == 2 else np.zeros(shape)
        start[name] = (drawn * np.sqrt(2 / sum(shape))).astype(np.float32)
    return start


def recipe(network: Network, split: Split, batch: int, epochs: int) -> Recipe:
    """Cross-entropy on one split with AdamW 1e-3, weight decay 0.05."""
    return Recipe(
        networks={"model": network},
        sources={"labelled": Source(split.x, split.y, batch=batch)},
        terms={"loss": FunctionLoss(functional.cross_entropy)},
        optimizers=(("*", Optimizer(torch.optim.AdamW, {"lr": 1e-3, "weight_decay": 0.05}, elementwise=True)),),
        epochs=epochs,
        record=False,
    )


def build_base(problem: Problem, context: Context) -> dict[str, Array]:
    """The network pre-trained on the split "pretrain", as "model/<parameter>" arrays."""
    network = Network(NETWORK.factory, NETWORK.options, start=glorot(context))
    how = recipe(network, problem.splits["pretrain"], 64, int(problem.info["pretrain_epochs"]))
    return {f"model/{name}": np.asarray(value) for name, value in context.train(how).weights["model"].items()}


def base(problem: Problem, context: Context) -> Trained:
    """The pre-trained network from the artifact "base", with the recipe of its fine-tuning."""
    stored = context.artifact("base")
    weights = {name.removeprefix("model/"): value for name, value in stored.items()}
    how = recipe(NETWORK, problem.train, 32, int(problem.info["epochs"]))
    return Trained(how.networks, {"model": weights}, how)
