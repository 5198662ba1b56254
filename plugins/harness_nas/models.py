"""How supernet-cell-digits trains: the recipe, its augmentation, and the supernet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness import Cosine, FunctionLoss, Network, Optimizer, Problem, Recipe, Source
from harness_nas.cell import CellNetwork

if TYPE_CHECKING:
    from harness import Context
    from harness.interfaces.step import Draws

Array = np.ndarray[Any, Any]
SIDE, CANVAS, NOISE = 8, 12, 0.15
ROOM = CANVAS - SIDE


def redrawn(x: Tensor, random: Draws) -> Tensor:
    """Move each digit from the middle of its canvas to a uniformly drawn place, and add N(0, 0.15) noise.

    Args:
        x: clean canvases (B, 1, 12, 12) with the 8x8 digit in the middle.
    """
    batch = x.shape[0]
    offsets = (random.uniform((batch, 2)) * (ROOM + 1)).floor().long().clamp(max=ROOM) - ROOM // 2
    lines = torch.arange(CANVAS, device=x.device)
    # the margin is zero and as wide as the largest move, so that going around the edge moves zeros only
    rows = ((lines[None] - offsets[:, :1]) % CANVAS)[:, None, :, None].expand(x.shape)
    columns = ((lines[None] - offsets[:, 1:]) % CANVAS)[:, None, None, :].expand(x.shape)
    return x.gather(2, rows).gather(3, columns) + NOISE * random.normal(tuple(x.shape))


def recipe(problem: Problem) -> Recipe:
    """Stand-alone training: SGD 0.05 with momentum 0.9, weight decay 2.5e-4, cosine; batches of 64 but for smoke.

    The network has the option `architecture`; as it stands it is the supernet.
    """
    train = problem.train
    optimizer = Optimizer(torch.optim.SGD, {"lr": 0.05, "momentum": 0.9, "weight_decay": 2.5e-4}, elementwise=True)
    return Recipe(
        networks={"model": Network(CellNetwork, {"architecture": None, "classes": problem.classes})},
        sources={"labelled": Source(train.x, train.y, batch=int(problem.info["batch"]), view="redrawn")},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=(("*", optimizer),),
        views={"redrawn": redrawn},
        schedule=Cosine(),
        epochs=int(problem.info["epochs"]),
        record=False,
    )


def build_supernet(problem: Problem, context: Context) -> dict[str, Array]:
    """The supernet after uniform single-path training, as "model/<parameter>" arrays."""
    how = recipe(problem).replace(epochs=int(problem.info["supernet_epochs"]))
    weights = context.train(how).weights["model"]
    return {f"model/{name}": np.asarray(value) for name, value in weights.items()}
