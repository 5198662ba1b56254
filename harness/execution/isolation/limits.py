"""What a call may use, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

STATUSES = ("ok", "failed", "timeout", "oom", "crashed", "interrupted")


@dataclass(frozen=True)
class Limits:
    """The limits of one call.

    Attributes:
        seconds: wall time, None for no limit.
        memory_bytes: memory that the call's processes may hold together beyond what the warmed-up server holds, None
            for no limit.
        grace: seconds between the request to end (SIGTERM) and the end (SIGKILL).
    """

    seconds: float | None = None
    memory_bytes: int | None = None
    grace: float = 2.0


@dataclass
class Ending:
    """What became of a call.

    Attributes:
        status: one of `STATUSES`. "failed": it raised; "crashed": its process ended without an answer;
            "interrupted": the caller stopped it.
        value: what the function returned, for "ok".
        error: one line.
        traceback: of the exception, where there was one.
        signal: the signal that ended the process, 0 if none.
        log: the last lines that its processes wrote to stdout and stderr.
        wall_seconds: from the start of the function to its end.
        cpu_seconds: of all its processes.
        peak_memory_bytes: the most that all its processes held together, sampled; without what they share with the
            server.
        isolation: "full", or "weak" where the platform lets a child that detaches itself escape.
    """

    status: str
    value: Any = None
    error: str = ""
    traceback: str = ""
    signal: int = 0
    log: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_bytes: int = 0
    isolation: str = "full"

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    @classmethod
    def from_message(cls, header: Mapping[str, Any], body: bytes) -> Ending:
        """From a guardian's frame: the header holds the fields, the body the value as JSON."""
        names = {field.name for field in fields(cls)}
        ending = cls(**{name: value for name, value in header.items() if name in names})
        if ending.status == "ok":
            try:
                ending.value = json.loads(body)
            except (ValueError, RecursionError) as error:
                ending.status, ending.error = "failed", f"the answer cannot be read: {type(error).__name__}: {error}"
        return ending
