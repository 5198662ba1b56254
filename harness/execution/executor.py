"""Where groups run. An executor carries out calls; what the calls mean is the driver's business."""

from __future__ import annotations

import importlib
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from harness.errors import HarnessError
from harness.execution.isolation import Ending, Limits


class Served(Protocol):
    """A process (or, inline, an object) with state of its own that answers calls one at a time."""

    def call(self, method: str, payload: Mapping[str, Any], limits: Limits) -> Ending: ...

    def close(self) -> None: ...


class Executor(ABC):
    """Carries out calls "package.module:function" with a JSON payload and a JSON result.

    Attributes:
        name: as rows record it.
        workers: how many calls run side by side.
    """

    name: ClassVar[str]
    workers: int

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    @abstractmethod
    def submit(self, call: str, payload: Mapping[str, Any], limits: Limits) -> Future[Ending]:
        """Start a call; whatever happens to it, the future gives an `Ending`."""

    @abstractmethod
    def serve(self, factory: str, payload: Mapping[str, Any]) -> Served:
        """An object made by `factory(**payload)` that answers calls to its methods."""

    def close(self) -> None:  # noqa: B027 (an executor without anything of its own to end needs none)
        """End everything that still runs."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Inline(Executor):
    """Everything in the caller's process: for debugging, notebooks, and classes that cannot be imported elsewhere.

    No limits hold here: a hang hangs, a crash ends the caller. One call at a time, however many workers are asked for.
    """

    name = "inline"

    def __init__(self, workers: int = 1) -> None:
        super().__init__(1)

    def submit(self, call: str, payload: Mapping[str, Any], limits: Limits) -> Future[Ending]:
        future: Future[Ending] = Future()
        future.set_result(_attempt(lambda: load(call)(dict(payload))))
        return future

    def serve(self, factory: str, payload: Mapping[str, Any]) -> Served:
        return _InlineService(load(factory)(**payload))


class Processes(Executor):
    """A killable process a call (the default): forked from a warm server, or for a GPU spawned."""

    name = "processes"

    def __init__(self, workers: int = 1, device: str = "cpu") -> None:
        super().__init__(workers)
        from harness.execution.isolation import Pool

        self._bounded = device == "cpu"  # a data limit would count what a GPU driver maps
        mode = None if device == "cpu" else "spawn"
        self._pool = Pool(workers, mode=mode, warm_up="harness.execution.warm:warm_up")

    def submit(self, call: str, payload: Mapping[str, Any], limits: Limits) -> Future[Ending]:
        return self._pool.submit(call, dict(payload), limits if self._bounded else replace(limits, memory_bytes=None))

    def serve(self, factory: str, payload: Mapping[str, Any]) -> Served:
        from harness.execution.isolation import Service

        return Service(factory, dict(payload), pool=self._pool)

    def close(self) -> None:
        self._pool.close()


class _InlineService:
    def __init__(self, served: Any) -> None:
        self._served = served

    def call(self, method: str, payload: Mapping[str, Any], limits: Limits) -> Ending:
        return _attempt(lambda: getattr(self._served, method)(**payload))

    def close(self) -> None:
        """Nothing to end."""


def _attempt(work: Any) -> Ending:
    wall, cpu = time.perf_counter(), time.process_time()
    ending = Ending("ok", isolation="none")
    try:
        ending.value = work()
    except Exception as error:
        text = " ".join(str(error).split())
        ending.status = "oom" if isinstance(error, MemoryError) else "failed"
        ending.error = text if isinstance(error, HarnessError) else f"{type(error).__name__}: {text}"
        ending.traceback = traceback.format_exc()
    ending.wall_seconds, ending.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return ending


def load(target: str) -> Any:
    """The object that "package.module:name" names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
