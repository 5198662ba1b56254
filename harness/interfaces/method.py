"""What the eight interfaces have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from harness.interfaces.budget import Budget


class MethodBase:
    """Class attributes that every method may set; its parameters are the signature of `__init__`.

    Attributes:
        interface: set by the interface's base class.
        vectorizable: promises no Python control flow on tensor values, no dynamic shapes and no hidden state, so that
            the seeds of a group can be trained as one stacked program.
        space: parameter -> what tuning may choose: (low, high), (low, high, "log") or a list of choices.
        artifacts: name -> module-level builder `f(problem, context) -> {name: array}`, built once and shared.
        budget: a larger budget than the task's; boards then show the method apart.
    """

    interface: ClassVar[str]
    vectorizable: ClassVar[bool] = False
    space: ClassVar[Mapping[str, Any]] = {}
    artifacts: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    budget: ClassVar[Budget | None] = None
