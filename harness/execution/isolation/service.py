"""A long-lived object in a process of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict
from types import TracebackType
from typing import Any

from harness.errors import HarnessError
from harness.execution.isolation.limits import Ending, Limits
from harness.execution.isolation.link import Line, Link
from harness.execution.isolation.pool import Pool


class Service:
    """Makes an object in another process and calls its methods.

    The process starts with the first call. A call that hangs, crashes or runs out of memory takes the process, and
    with it the object's state; the next call makes a new one. An exception leaves both as they are.

    Args:
        factory: "package.module:function", or a class; gets `payload` as keyword arguments and returns the object.
        payload: JSON values.
        limits: for making the object.
        pool: share this pool's warmed-up server; without one the service starts a server of its own.
        mode, warm_up, environment, threads: of that server, as for `Pool`. With a pool, only `environment` counts; it
            is set in `os.environ` before the factory is imported.
    """

    def __init__(
        self,
        factory: str,
        payload: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        pool: Pool | None = None,
        mode: str | None = "spawn",
        warm_up: str = "",
        environment: Mapping[str, str] | None = None,
        threads: int = 1,
    ) -> None:
        self._factory = factory
        self._payload = dict(payload or {})
        self._limits = limits or Limits(seconds=120.0)
        self._environment = dict(environment or {})
        self._own = pool is None
        self._link = pool.link if pool is not None else Link(mode, warm_up, environment, threads)
        self._line: Line | None = None
        self._alive = False
        self._closed = False
        self._lock = threading.Lock()

    @property
    def link(self) -> Link:
        """The server and its lines."""
        return self._link

    def call(self, method: str, payload: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Ending:
        """Call `object.method(**payload)` and wait for it; one call at a time.

        Returns:
            the ending of the call, or that of the factory where the object could not be made (its `error` then
            begins with "start: ").
        """
        with self._lock:
            if self._closed:
                raise HarnessError("the service is closed")
            for _ in range(2):
                if not self._alive:
                    opened, _ = self._ask("open", self._factory, self._payload, self._limits)
                    if not opened.ok:
                        opened.error = f"start: {opened.error}"
                        return opened
                ending, header = self._ask("ask", method, payload or {}, limits or Limits())
                if not header.get("stale"):
                    break  # else the process died between two calls: its state is lost, this call never began
            return ending

    def close(self) -> None:
        """End the process, and a call under way as "interrupted"."""
        if self._closed:
            return
        self._closed = True
        if self._own:
            self._link.close()
        elif self._line is not None:
            self._drop()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, kind: str, target: str, payload: Mapping[str, Any], limits: Limits) -> tuple[Ending, dict[str, Any]]:
        answer: Future[tuple[Ending, dict[str, Any]]] = Future()
        header = {
            "kind": kind,
            "target": target,
            "keep": True,
            "limits": asdict(limits),
            "environment": self._environment,
        }
        body = json.dumps(payload).encode()

        def ask() -> None:
            try:
                if self._line is None or not self._line.usable:
                    self._line = self._link.open()
            except OSError as error:
                answer.set_result((Ending("crashed", error=f"no process could be started: {error}"), {}))
                return
            self._line.ask(header, body, lambda ending, header: answer.set_result((ending, header)))

        def refused() -> None:
            answer.set_result((Ending("interrupted", error="the caller stopped"), {}))

        self._link.post(ask, refused)
        try:
            ending, reply = answer.result()
        except BaseException:  # Ctrl-C: nobody will read the answer
            self._alive = False
            self._drop()
            raise
        self._alive = bool(reply.get("alive"))
        return ending, reply

    def _drop(self) -> None:
        line = self._line
        self._line = None
        if line is not None:

            def drop() -> None:
                line.close()
                line.settle(Ending("interrupted", error="the caller stopped"))

            self._link.post(drop)
