"""Calls of functions, each in a fresh process."""

from __future__ import annotations

import contextlib
import json
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from harness.errors import HarnessError
from harness.execution.isolation.limits import Ending, Limits
from harness.execution.isolation.link import Line, Link

MOST_ATTEMPTS = 3  # for a call whose guardian went before the call began


@dataclass
class _Call:
    header: dict[str, Any]
    body: bytes
    future: Future[Ending] = field(default_factory=Future)
    attempts: int = 0


class Pool:
    """Runs functions in processes of their own, several at a time.

    The server starts at once, in the background; a function starts in a process that has been forked beforehand.

    Args:
        workers: calls at a time.
        mode: "fork" (from a warmed-up server; Linux), "spawn" (a fresh interpreter a call; for CUDA), or None for what
            suits the platform. A server that is not single-threaded after its warm-up falls back to "spawn".
        warm_up: "module:function", called once in the server without arguments ("fork"), or in every worker before
            its call ("spawn").
        environment: added to the environment of all processes.
        threads: that numerical libraries may use in a worker. In mode "fork" this sets torch's number; BLAS below
            numpy stays at one.

    Raises:
        HarnessError: an unknown mode, fewer than one worker or thread, or Windows.
    """

    def __init__(
        self,
        workers: int,
        mode: str | None = None,
        warm_up: str = "",
        environment: Mapping[str, str] | None = None,
        threads: int = 1,
    ) -> None:
        if workers < 1:
            raise HarnessError(f"workers = {workers}: a pool needs at least 1 worker")
        self._workers = workers
        self._link = Link(mode, warm_up, environment, threads)
        self._queue: deque[_Call] = deque()
        self._idle: deque[Line] = deque()
        self._running: set[Line] = set()
        self._closed = False
        self._link.post(self._open_lines)

    @property
    def mode(self) -> str:
        """ "fork" or "spawn"; settled once the first call has been answered."""
        return self._link.mode

    @property
    def reason(self) -> str:
        """Why the server fell back to "spawn", or ""."""
        return self._link.reason

    @property
    def link(self) -> Link:
        """The server and its lines; a `Service` can share it."""
        return self._link

    def submit(
        self,
        call: str,
        payload: Mapping[str, Any],
        limits: Limits,
        environment: Mapping[str, str] | None = None,
    ) -> Future[Ending]:
        """Queue a call.

        Args:
            call: "package.module:function"; the function gets the payload and returns a JSON value.
            payload: JSON values.
            limits: of this call, counted from its start, not from now.
            environment: set in `os.environ` before the function is imported.

        Returns:
            a future whose result is always an `Ending`; a call that has not begun can be cancelled.
        """
        if self._closed:
            raise HarnessError("the pool is closed")
        header = {
            "kind": "call",
            "target": call,
            "keep": False,
            "limits": asdict(limits),
            "environment": dict(environment or {}),
        }
        item = _Call(header, json.dumps(payload).encode())

        def enqueue() -> None:
            self._queue.append(item)
            self._dispatch()

        self._link.post(enqueue, lambda: self._interrupt(item))
        return item.future

    def close(self) -> None:
        """Kill what runs; those calls, and the queued ones, end as "interrupted"."""
        if self._closed:
            return
        self._closed = True
        self._link.close()
        while self._queue:
            self._interrupt(self._queue.popleft())

    @staticmethod
    def _interrupt(call: _Call) -> None:
        if call.attempts or call.future.set_running_or_notify_cancel():
            call.future.set_result(Ending("interrupted", error="the caller stopped before the call began"))

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- in the link's thread

    def _open_lines(self) -> None:
        # One more than the workers: while one call ends, the next one starts in a process that is already there.
        with contextlib.suppress(OSError):  # calls will try again, and say so
            for _ in range(self._workers + 1):
                self._idle.append(self._link.open())

    def _dispatch(self) -> None:
        while self._queue and len(self._running) < self._workers and not self._closed:
            call = self._queue.popleft()
            if not call.attempts and not call.future.set_running_or_notify_cancel():
                continue
            call.attempts += 1
            try:
                line = self._free_line()
            except OSError as error:
                call.future.set_result(Ending("crashed", error=f"no process could be started: {error}"))
                continue
            self._running.add(line)
            line.ask(call.header, call.body, partial(self._ended, call, line))

    def _free_line(self) -> Line:
        while self._idle:
            line = self._idle.popleft()
            if line.usable and line.number > self._link.renewed:
                return line
            line.close()
            self._idle.append(self._link.open())
        return self._link.open()

    def _ended(self, call: _Call, line: Line, ending: Ending, header: dict[str, Any]) -> None:
        self._running.discard(line)
        if line.usable:
            self._idle.append(line)
        never_begun = header.get("lost") and not header.get("begun")
        if never_begun and ending.status == "crashed" and call.attempts < MOST_ATTEMPTS:
            self._queue.appendleft(call)
        else:
            call.future.set_result(ending)
        self._link.post(self._dispatch)
