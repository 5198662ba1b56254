"""The process in which functions run. It takes frames from its guardian and answers with a file.

The answer is written to a file and renamed, so that a function that closes or writes to file descriptors it does not
own cannot damage it; the byte that follows on the socket only wakes the guardian.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import resource
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any, NoReturn

from harness.execution.isolation import processes
from harness.execution.isolation.framing import pack, read_frame
from harness.execution.isolation.settings import Settings

READY, ANSWERED = b"r", b"a"
MOST_TRACEBACK = 16_000
MARGIN = 64 << 20


def main() -> None:
    """A fresh interpreter of mode "spawn": arguments are settings, descriptor of the socket, path of the answer."""
    settings = Settings.from_json(sys.argv[1])
    channel = socket.socket(fileno=int(sys.argv[2]))
    answer = sys.argv[3]
    sys.path[:] = [*settings.path, *(entry for entry in sys.path if entry not in settings.path)]
    set_signals()
    if settings.warm_up:
        resolve(settings.warm_up)()
    serve(channel, answer, settings)


def set_signals() -> None:
    """What a function may expect of a fresh process; SIGTERM first shows where the process was."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable(file=2, all_threads=True)
    faulthandler.register(signal.SIGTERM, file=2, all_threads=True, chain=True)


def serve(channel: socket.socket, answer: str, settings: Settings) -> NoReturn:
    """Carry out what comes until the guardian goes."""
    sys.argv = ["harness-worker"]
    processes.set_name("harness-worker")
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if settings.threads > 1 and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(settings.threads)
    session = Session()
    channel.setblocking(True)
    channel.send(READY)
    while frame := read_frame(channel):
        header, body = frame
        outcome = session.carry_out(header, body)
        write_answer(answer, outcome)
        with contextlib.suppress(OSError):
            channel.send(ANSWERED)
        if not header["keep"]:
            break
    flush()
    os._exit(0)


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    processes.flush_c_streams()


def write_answer(path: str, outcome: Outcome) -> None:
    temporary = path + ".new"
    with open(temporary, "wb") as file:
        file.write(pack(outcome.header(), outcome.body))
    os.replace(temporary, path)


@dataclass
class Outcome:
    """What a function did; `body` is its value as JSON."""

    status: str
    body: bytes = b""
    error: str = ""
    traceback: str = ""
    cpu_seconds: float = 0.0
    memory: int = 0

    def header(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "error": self.error,
            "traceback": self.traceback,
            "cpu_seconds": self.cpu_seconds,
            "memory": self.memory,
        }


class Session:
    """Calls in one process; "open" makes an object that later "ask" calls use."""

    def __init__(self) -> None:
        self._object: Any = None

    def carry_out(self, header: dict[str, Any], body: bytes) -> Outcome:
        os.environ.update(header["environment"])
        limit_memory(header["memory_bytes"])
        before = processor_time()
        try:
            value = self._call(header, json.loads(body))
            outcome = Outcome("ok", as_json(value))
        except BaseException as exception:  # also SystemExit and KeyboardInterrupt: they are the function's own
            outcome = outcome_of(exception)
        flush()
        outcome.cpu_seconds = processor_time() - before
        outcome.memory = processes.own_memory(os.getpid())
        return outcome

    def _call(self, header: dict[str, Any], payload: dict[str, Any]) -> Any:
        kind, target = header["kind"], header["target"]
        if kind == "call":
            return resolve(target)(payload)
        if kind == "open":
            self._object = resolve(target)(**payload)
            return None
        return getattr(self._object, target)(**payload)


def resolve(target: str) -> Any:
    """The object that "package.module:name" names."""
    module, _, name = target.partition(":")
    value: Any = importlib.import_module(module)
    for part in name.split("."):
        value = getattr(value, part)
    return value


def as_json(value: Any) -> bytes:
    try:
        return json.dumps(value).encode()
    except (TypeError, ValueError) as exception:
        raise TypeError(f"the function returned what is not a JSON value: {exception}") from exception


def processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def limit_memory(limit: int | None) -> None:
    """Let allocations fail a little above the limit, so that a MemoryError tells where."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = resource.RLIM_INFINITY if limit is None else processes.data_size() + limit + limit // 8 + MARGIN
    if hard != resource.RLIM_INFINITY:
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def outcome_of(exception: BaseException) -> Outcome:
    limit_memory(None)  # telling what happened needs memory too
    try:
        text = "".join(traceback.format_exception(exception))
    except BaseException as second:  # a broken __str__
        text = f"(no traceback: {type(second).__name__} while formatting it)"
    if len(text) > MOST_TRACEBACK:
        text = text[: MOST_TRACEBACK // 4] + "\n[...]\n" + text[-3 * MOST_TRACEBACK // 4 :]
    if isinstance(exception, SystemExit):
        code = exception.code
        number = 0 if code is None else code if isinstance(code, int) else 1
        return Outcome("crashed", error=f"exit code {number}", traceback=text)
    status = "oom" if out_of_memory(exception) else "failed"
    return Outcome(status, error=one_line(exception), traceback=text)


def out_of_memory(exception: BaseException) -> bool:
    if isinstance(exception, MemoryError) or type(exception).__name__ == "OutOfMemoryError":
        return True
    # torch's CPU allocator and a failing fork have no exception class of their own.
    words = ("can't allocate memory", "not enough memory", "Cannot allocate memory")
    return isinstance(exception, RuntimeError | OSError) and any(word in safe_text(exception) for word in words)


def one_line(exception: BaseException) -> str:
    lines = safe_text(exception).strip().splitlines()
    name = type(exception).__name__
    return f"{name}: {lines[0][:500]}" if lines else name


def safe_text(exception: BaseException) -> str:
    try:
        return str(exception)
    except BaseException:
        return "(no text)"
