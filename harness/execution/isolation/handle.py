"""What a guardian knows about the worker that it watches."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from harness.execution.isolation.framing import Stream
from harness.execution.isolation.tail import Tail


@dataclass
class WorkerHandle:
    """A worker as its guardian sees it."""

    pid: int
    stream: Stream
    tail: Tail
    answer: str
    ready: bool = False
    woken: bool = False
    session: bool = False
    status: int | None = None  # as from waitpid

    @property
    def gone(self) -> bool:
        return self.status is not None

    def close(self) -> None:
        self.stream.close()
        self.tail.close()
        for path in (self.answer, self.answer + ".new"):
            with contextlib.suppress(OSError):
                os.unlink(path)


@dataclass
class Verdict:
    """Why the guardian ended a call, or how it ended by itself."""

    status: str
    error: str
    signal: int = 0
