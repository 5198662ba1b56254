"""Writes golden.json: the numbers of a few tiny trainings in float64, and the SEMANTICS that they belong to.

    python tests/training/make_golden.py

Run it after a change that is meant to alter what training computes, and raise `harness.training.SEMANTICS` first.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from recipes import Decay, Sharpness, cnn_recipe, mlp_recipe, run

from harness.interfaces import Cosine, Network, Optimizer, Weighted
from harness.nn import MLP
from harness.training import SEMANTICS

FILE = Path(__file__).with_name("golden.json")


def weigh(view):
    view.set_weights("labelled", view.losses() + 0.1)


def cases():
    adam = Optimizer(torch.optim.AdamW, {"lr": 0.01, "weight_decay": 0.05}, elementwise=True)
    dropout = Network(MLP, {"inputs": 12, "widths": (16,), "classes": 4, "dropout": 0.3})
    return {
        "sgd": mlp_recipe(),
        "adamw and cosine": mlp_recipe(optimizer=adam, schedule=Cosine(0.1, 0.2)),
        "batch normalisation": cnn_recipe(),
        "rule and penalty": mlp_recipe().with_rule(Sharpness(0.1)).with_term("decay", Decay(), 0.01),
        "dropout": mlp_recipe().with_network("model", dropout),
        "average": mlp_recipe().with_network("average", Network(MLP, average_of="model", decay=0.9)),
        "weighted sampler": mlp_recipe().with_source("labelled", sampler=Weighted(unbiased=True)).with_hook(weigh),
    }


def numbers(recipe, mapping):
    """Sums and norms of the weights of two seeds, and their loss curves."""
    found = {}
    for seed, result in zip((0, 5), run(recipe, (0, 5), mapping), strict=True):
        for network, weights in result.trained.weights.items():
            flat = np.concatenate([np.ravel(value).astype(np.float64) for value in weights.values()])
            found[f"{seed}/{network}"] = [float(flat.sum()), float(np.linalg.norm(flat))]
        found[f"{seed}/loss"] = [value for _, value in result.curves["loss"]]
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    golden = {"semantics": SEMANTICS, "cases": {name: numbers(recipe, "loop") for name, recipe in cases().items()}}
    FILE.write_text(json.dumps(golden, indent=1) + "\n")
