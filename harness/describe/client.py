"""Starts describe workers and reads their answers. What kills a worker costs one target, not the others."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any

START_TIMEOUT = 120.0
_PROGRAM = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from harness.describe.worker import main; main()"


def ask(requests: Sequence[Mapping[str, Any]], timeout: float) -> list[dict[str, Any] | str]:
    """An answer to every request, in order: a JSON object, or the reason why there is none.

    One worker answers all of them. Where it dies or exceeds `timeout` seconds at one, that one gets the reason and
    another worker goes on with the rest.
    """
    answers: dict[int, dict[str, Any] | str] = {}
    while len(answers) < len(requests):
        waiting = [index for index in range(len(requests)) if index not in answers]
        _one_worker([(index, requests[index]) for index in waiting], timeout, answers)
    return [answers[index] for index in range(len(requests))]


def _one_worker(
    numbered: Sequence[tuple[int, Mapping[str, Any]]], timeout: float, answers: dict[int, dict[str, Any] | str]
) -> None:
    """Fill in answers until the worker ends; it leaves at least one more than there were."""
    with tempfile.TemporaryFile() as log:
        worker = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,
        )
        try:
            assert worker.stdin is not None
            assert worker.stdout is not None
            lines = _lines(worker.stdout)
            _send(worker.stdin, numbered)
            current, ended = _read(lines, timeout, answers, len(numbered))
            if any(index not in answers for index, _ in numbered):
                blamed = current if current is not None else next(i for i, _ in numbered if i not in answers)
                answers[blamed] = _reason(worker, log, ended, timeout if current is not None else START_TIMEOUT)
        finally:
            _end(worker)


def _send(stream: IO[bytes], numbered: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
    """Write the requests; the pipe stays open, as its end tells the worker that its driver is gone."""
    with contextlib.suppress(BrokenPipeError):  # a worker that is dead already shows when its answers are read
        stream.write(json.dumps([[index, dict(request)] for index, request in numbered]).encode() + b"\n")
        stream.flush()


def _lines(stream: IO[bytes]) -> queue.Queue[bytes]:
    """A queue that a thread fills with the lines of a stream; b"" is its end."""
    lines: queue.Queue[bytes] = queue.Queue()

    def pump() -> None:
        with stream:
            for line in stream:
                lines.put(line)
        lines.put(b"")

    threading.Thread(target=pump, daemon=True).start()
    return lines


def _read(
    lines: queue.Queue[bytes], timeout: float, answers: dict[int, dict[str, Any] | str], expected: int
) -> tuple[int | None, bool]:
    """Take answers until all are there, the worker ends, or it is late.

    Returns:
        the request that was being worked on, or None; and whether the worker ended (False: it was late).
    """
    current: int | None = None
    limit = START_TIMEOUT
    while expected:
        try:
            line = lines.get(timeout=limit)
        except queue.Empty:
            return current, False
        if not line:
            return current, True
        message = json.loads(line)
        limit = timeout
        if "begin" in message:
            current = int(message["begin"])
        elif "done" in message:
            answers[int(message["done"])] = message["error"] or message["value"]
            current, expected = None, expected - 1
    return None, True


def _reason(worker: subprocess.Popen[bytes], log: IO[bytes], ended: bool, timeout: float) -> str:
    if not ended:
        return f"did not finish importing within {timeout:g} s"
    code = worker.wait()
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended the process with exit code {code}"
    log.seek(0)
    last = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()][-1:]
    return f"importing it {how}" + (f" ({last[0][:200]})" if last else "")


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    if worker.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.close()
