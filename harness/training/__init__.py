"""Carries recipes out: one program of a step, mapped over the seeds of a group. Names load on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.training.errors import Diverged as Diverged
    from harness.training.trainer import Request as Request
    from harness.training.trainer import Result as Result
    from harness.training.trainer import train as train

# Raise by one when a change of the trainer changes the numbers that training gives (tests/training/golden.json).
SEMANTICS = 1

_HOME = {"Diverged": "errors", "Request": "trainer", "Result": "trainer", "train": "trainer"}
__all__ = ["SEMANTICS", "Diverged", "Request", "Result", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness.training' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"harness.training.{_HOME[name]}"), name)
    globals()[name] = value
    return value
