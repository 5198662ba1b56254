"""The bank of logits: one over-confident network a seed, and what it says about three sets under four views."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from harness import FunctionLoss, HarnessError, Network, Optimizer, Problem, Recipe, Source
from harness.nn import CNN, MLP
from harness_calibration.metrics import Array
from harness_calibration.views import FIXED

if TYPE_CHECKING:
    from harness import Context


def network(problem: Problem) -> Network:
    """The network that `problem.info["model"]` names: "linear", "mlp" (64-256-256-K) or "cnn" (CNN-S)."""
    model = problem.info["model"]
    if model == "linear":
        return Network(MLP, {"inputs": 64, "widths": (), "classes": problem.classes})
    if model == "mlp":
        return Network(MLP, {"inputs": 64, "widths": (256, 256), "classes": problem.classes})
    if model == "cnn":
        return Network(CNN, {"channels_in": 1, "widths": (32, 64, 64), "classes": problem.classes})
    raise HarnessError(f"unknown model '{model}' of posthoc-logit-bank; known: linear, mlp, cnn")


def recipe(problem: Problem) -> Recipe:
    """Cross-entropy with Adam 1e-3 and batches of 64, for `problem.info["epochs"]` epochs: far more than it takes."""
    return Recipe(
        networks={"model": network(problem)},
        sources={"labelled": Source(shaped(problem, problem.train.x), problem.train.y, batch=64)},
        terms={"loss": FunctionLoss(functional.cross_entropy)},
        optimizers=(("*", Optimizer(torch.optim.Adam, {"lr": 1e-3}, elementwise=True)),),
        epochs=int(problem.info["epochs"]),
        record=False,
    )


def shaped(problem: Problem, images: Array) -> Array:
    """Images (n, 8, 8) as the network wants them: (n, 1, 8, 8) for the CNN, (n, 64) else."""
    return images[:, None] if problem.info["model"] == "cnn" else images.reshape(len(images), -1)


def build_bank(problem: Problem, context: Context) -> dict[str, Array]:
    """Train, then store "<set>_logits" and "<set>_logits_<view>", each (n, K) float32.

    The sets are "calibration", "test" and "shifted"; the views "rotate" (+15 degrees), "blur" (3x3 box) and "fade"
    (contrast x0.6, brightness +0.1).
    """
    trained = context.train(recipe(problem))
    sets = {"calibration": problem.splits["calibration"].x, **problem.inputs}
    bank = {}
    for name, images in sets.items():
        bank[f"{name}_logits"] = trained.predict(shaped(problem, images))["logits"]
        for view, change in FIXED.items():
            bank[f"{name}_logits_{view}"] = trained.predict(shaped(problem, change(images)))["logits"]
    return bank
