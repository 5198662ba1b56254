"""The client's side: the server's process, the lines to guardians, and the thread that reads them."""

from __future__ import annotations

import contextlib
import os
import queue
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.execution.isolation.framing import Stream, pack
from harness.execution.isolation.limits import Ending
from harness.execution.isolation.settings import Settings, command

CLOSE_SECONDS = 15.0
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
MODES = ("fork", "spawn")

Answer = Callable[[Ending, dict[str, Any]], None]


class Line:
    """A socket to one guardian, which carries out one call after another. Used by the link's thread only."""

    def __init__(self, link: Link, number: int, stream: Stream, server: Stream) -> None:
        self.number = number
        self.stream = stream
        self.server = server
        self.begun = False
        self._link = link
        self._answer: Answer | None = None

    @property
    def busy(self) -> bool:
        return self._answer is not None

    @property
    def usable(self) -> bool:
        return not self.stream.ended

    def ask(self, header: Mapping[str, Any], body: bytes, answer: Answer) -> None:
        """Send a request; `answer` gets its ending, whatever happens."""
        self.begun = False
        self._answer = answer
        self.stream.send(header, body)

    def read(self) -> None:
        self.stream.flush()
        for header, body in self.stream.receive():
            if header.get("begun"):
                self.begun = True
            else:
                self.settle(Ending.from_message(header, body), header)

    def settle(self, ending: Ending, header: dict[str, Any] | None = None) -> None:
        """The request that is under way ends like this."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer(ending, {"lost": True, "begun": self.begun} if header is None else header)

    def close(self) -> None:
        """Give the line up: its guardian kills what runs there."""
        self._link.drop(self)


class Link:
    """One server and its lines. Everything but `post` and `close` belongs to its thread.

    Args:
        mode: "fork", "spawn", or None for what suits the platform.
        warm_up: "module:function", see `Settings`.
        environment: added to the environment of the server and all below it.
        threads: for numerical libraries in a worker.

    Attributes:
        mode: as given; what the server really uses once it has said hello.
        reason: why that differs, or "".
        server: process id of the server, 0 before it started.
        renewed: lines with higher numbers have guardians that fork faster.
    """

    def __init__(self, mode: str | None, warm_up: str, environment: Mapping[str, str] | None, threads: int) -> None:
        if sys.platform == "win32":
            raise HarnessError("isolated processes need Linux or macOS; on Windows use the executor 'inline'")
        if mode is not None and mode not in MODES:
            raise HarnessError(f"unknown mode '{mode}' of isolation; known: {', '.join(MODES)}")
        if threads < 1:
            raise HarnessError(f"threads = {threads}: a worker needs at least 1 thread")
        self.mode = mode or ("fork" if sys.platform == "linux" else "spawn")
        self.reason = ""
        self.server = 0
        self.renewed = 0
        self._warm_up = warm_up
        self._environment = dict(environment or {})
        self._threads = threads
        self._lines: dict[int, Line] = {}
        self._lost: dict[int, Line] = {}  # ended lines; the server has yet to say that nothing is left of them
        self._count = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stream: Stream | None = None
        self._folder = ""
        self._greeted = False
        self._broken = ""  # why there is no point in starting the server again
        self._posted: queue.SimpleQueue[tuple[Callable[[], None], Callable[[], None] | None]] = queue.SimpleQueue()
        self._closing = False
        self._bell, self._bell_write = os.pipe()
        for descriptor in (self._bell, self._bell_write):
            os.set_blocking(descriptor, False)
        self._lock = threading.Lock()  # of the next two, and of the pipe that wakes the thread
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="harness-isolation", daemon=True)
        self._thread.start()

    # --- for other threads

    def post(self, action: Callable[[], None], refused: Callable[[], None] | None = None) -> None:
        """Have the link's thread do something soon; `refused` is called instead once the link has been closed."""
        with self._lock:
            if not self._ended:
                self._posted.put((action, refused))
                with contextlib.suppress(BlockingIOError):  # a full pipe wakes it as well
                    os.write(self._bell_write, b".")
                return
        if refused is not None:
            refused()

    def close(self) -> None:
        """Kill everything that runs; requests under way end as interrupted. Returns when nothing is left."""

        def stop() -> None:
            self._closing = True

        self.post(stop)
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS + 5)

    # --- the thread

    def _run(self) -> None:
        try:
            while not self._closing:
                self._pump()
        finally:
            self._end()

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        streams = {line.stream.fileno(): line for line in self._lines.values()}
        for descriptor, line in streams.items():
            poll.register(descriptor, select.POLLIN | (select.POLLOUT if line.stream.unsent else 0))
        server = self._stream.fileno() if self._stream is not None else -1
        if server >= 0:
            poll.register(server, select.POLLIN)
        ready = [descriptor for descriptor, _ in poll.poll()]
        for descriptor in ready:
            if descriptor in streams:
                line = streams[descriptor]
                line.read()
                if line.stream.ended and line.number in self._lines:
                    self._lose(line)
        if server in ready:
            self._hear_server()
        if self._bell in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._bell, 1 << 16)
            while not self._posted.empty() and not self._closing:
                self._posted.get()[0]()

    def open(self) -> Line:
        """A line to a guardian of its own; starts the server if none runs.

        Raises:
            OSError: no process or socket can be had, or the server cannot warm up.
        """
        if self._broken:
            raise OSError(self._broken)
        if self._stream is None:
            self._start_server()
        assert self._stream is not None
        self._count += 1
        ours, theirs = socket.socketpair()
        line = Line(self, self._count, Stream(ours), self._stream)
        self._lines[line.number] = line
        with theirs, contextlib.suppress(OSError):  # a server that has died is noticed by the end of its socket
            socket.send_fds(self._stream.socket, [pack({"line": line.number})], [theirs.fileno()])
        return line

    def drop(self, line: Line) -> None:
        line.stream.close()
        self._lines.pop(line.number, None)

    def _lose(self, line: Line) -> None:
        """A line has ended. What ran there is gone for sure only when the server says so, or has gone itself."""
        self.drop(line)
        if not line.busy:
            return
        if line.server is not self._stream:  # it has died; another one may be running by now
            line.settle(Ending("crashed", error="the fork server and the guardian of the call were killed"))
        else:
            self._lost[line.number] = line

    def _hear_server(self) -> None:
        assert self._stream is not None
        for message, _ in self._stream.receive():
            if message["op"] == "hello":
                self._greeted = True
                self.mode, self.reason = message["mode"], message["reason"]
            elif message["op"] == "renewed":
                self.renewed = self._count
            elif message["op"] == "broken":
                self._broken = f"the fork server could not warm up: {message['error']}"
                self._stream.ended = True
            else:
                line = self._lost.pop(message["line"], None) or self._lines.get(message["line"])
                if line is not None:
                    if line.usable:
                        line.read()  # its last words may still lie in the socket
                    self.drop(line)
                    line.settle(Ending("crashed", error=f"the guardian of the call ended: {message['how']}"))
        if self._stream is not None and self._stream.ended:
            self._server_ended()

    def _fail(self, error: str) -> None:
        """End everything; what had not begun may be tried again unless the server is broken for good."""
        header: dict[str, Any] | None = {} if self._broken else None
        log = self._server_log()
        for line in [*self._lines.values(), *self._lost.values()]:
            self.drop(line)
            line.settle(Ending("crashed", error=error, log=log), header)
        self._lost.clear()

    def _server_ended(self) -> None:
        """Lines go on for a moment: each guardian kills what it watches and says so."""
        how = self._bury_server()
        if not self._greeted:
            self._fail(self._broken or f"the fork server did not start: {how}")
        for line in self._lost.values():
            line.settle(Ending("crashed", error=f"the fork server ended: {how}"))
        self._lost.clear()
        self._remove_folder()

    def _bury_server(self) -> str:
        assert self._stream is not None
        assert self._process is not None
        self._stream.close()
        self._stream = None
        try:
            code = self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    def _server_log(self) -> str:
        with contextlib.suppress(OSError):
            return (Path(self._folder) / "server.log").read_text(errors="replace")[-8192:]
        return ""

    def _remove_folder(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start_server(self) -> None:
        # Started by this thread, which lives as long as the link: the server's death signal is tied to the thread.
        import harness

        root = str(Path(harness.__file__).resolve().parent.parent)
        ours, theirs = socket.socketpair()
        self._folder = tempfile.mkdtemp(prefix="harness-")
        self._greeted = False
        settings = Settings(
            mode=self.mode,
            reason=self.reason,
            warm_up=self._warm_up,
            threads=self._threads,
            path=tuple(os.path.abspath(entry) for entry in sys.path),
            root=root,
            folder=self._folder,
            client=os.getpid(),
            socket=theirs.fileno(),
        )
        # A library that makes threads at its import would make the server unfit for forking.
        threads = self._threads if self.mode == "spawn" else 1
        environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **self._environment}
        arguments = [*command("harness.execution.isolation.server", root), settings.to_json()]
        with theirs, open(Path(self._folder) / "server.log", "wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self.server = self._process.pid
        self._stream = Stream(ours)

    def _end(self) -> None:
        interrupted = [*self._lines.values(), *self._lost.values()]
        for line in interrupted:
            line.stream.close()
        if self._stream is not None:
            self._bury_server()
            self._remove_folder()
        for line in interrupted:
            line.settle(Ending("interrupted", error="the caller stopped"))
        self._lines.clear()
        self._lost.clear()
        with self._lock:
            self._ended = True
            for descriptor in (self._bell, self._bell_write):
                os.close(descriptor)
        while not self._posted.empty():
            _, refused = self._posted.get()
            if refused is not None:
                refused()
