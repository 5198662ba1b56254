"""Networks and layers for any recipe, and random numbers for layers of one's own; all can be stacked over seeds.

Names load on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.nn.cnn import CNN as CNN
    from harness.nn.dropout import Dropout as Dropout
    from harness.nn.mlp import MLP as MLP
    from harness.nn.noise import GaussianNoise as GaussianNoise
    from harness.nn.random import RandomModule as RandomModule
    from harness.nn.random import mix as mix
    from harness.nn.random import normal as normal
    from harness.nn.random import uniform as uniform

_HOME = {
    "CNN": "cnn",
    "Dropout": "dropout",
    "GaussianNoise": "noise",
    "MLP": "mlp",
    **dict.fromkeys(("RandomModule", "mix", "normal", "uniform"), "random"),
}
__all__ = ["CNN", "MLP", "Dropout", "GaussianNoise", "RandomModule", "mix", "normal", "uniform"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness.nn' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"harness.nn.{_HOME[name]}"), name)
    globals()[name] = value
    return value
