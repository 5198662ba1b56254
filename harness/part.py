"""Declared things with their settings, as plain values that travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Part:
    """A stage of a pipeline, or a task.

    Attributes:
        name: the declared name.
        package: top-level package of the target; for a single file `harness_local_<stem>`.
        target: "package.module:Class".
        params: all parameters, defaults filled in.
        path: the file or folder of a plugin that is not installed, or "".
    """

    name: str
    package: str
    target: str
    params: Mapping[str, Any] = field(default_factory=dict)
    path: str = ""


@dataclass(frozen=True)
class Need:
    """An artifact that a group uses.

    Attributes:
        name: as `context.artifact` asks for it.
        builder: "package.module:function".
        code: digest of the builder's code.
        path: file or folder of a plugin that is not installed, or "".
    """

    name: str
    builder: str
    code: str
    path: str = ""
