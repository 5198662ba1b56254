"""A plugin-based benchmark harness: does a new machine-learning method hold what its paper says, on equal terms?

`from harness import ...` loads a name on first use: the declarations (`Method`, `Task`, `hookimpl`, ...) import
neither torch nor pandas, the interfaces' base classes import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from harness.interfaces import HOME as _INTERFACES

__version__ = "0.1.0"

if TYPE_CHECKING:
    from harness.api import method as method
    from harness.api import results as results
    from harness.api import run as run
    from harness.errors import HarnessError as HarnessError
    from harness.hooks import hookimpl as hookimpl
    from harness.interfaces import *  # noqa: F403
    from harness.spec import Board as Board
    from harness.spec import Claim as Claim
    from harness.spec import Comparison as Comparison
    from harness.spec import Dataset as Dataset
    from harness.spec import Executor as Executor
    from harness.spec import Method as Method
    from harness.spec import Metric as Metric
    from harness.spec import Paper as Paper
    from harness.spec import Task as Task

_HOME = {
    **dict.fromkeys(
        ("Method", "Task", "Metric", "Dataset", "Paper", "Claim", "Comparison", "Board", "Executor"),
        "harness.spec",
    ),
    "hookimpl": "harness.hooks",
    "HarnessError": "harness.errors",
    **dict.fromkeys(("method", "run", "results"), "harness.api"),
    **dict.fromkeys(_INTERFACES, "harness.interfaces"),
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
