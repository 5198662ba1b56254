"""The process that watches over calls: one at a time, each in a worker of its own.

It runs no code of the functions. It is the parent, at last, of everything they start: orphans come to it, so when it
says that a call has ended, nothing of the call is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any, NoReturn

from harness.execution.isolation import processes, worker
from harness.execution.isolation.framing import Damaged, Frame, Stream, unpack
from harness.execution.isolation.handle import Verdict, WorkerHandle
from harness.execution.isolation.memory import MemoryWatch
from harness.execution.isolation.settings import Settings, command
from harness.execution.isolation.tail import Tail

TICK = 0.025  # seconds between looks at memory
START_SECONDS = 120.0  # for a worker to become ready, imports of mode "spawn" included
UNKILLABLE_SECONDS = 30.0  # for killed processes to disappear
MOST_ANSWER = 1 << 30
MOST_STILLBORN = 5


class Guardian:
    """Carries out the calls that come over one line.

    Args:
        line: socket to the client.
        life: descriptor that ends when the server does.
    """

    def __init__(self, line: socket.socket, life: int, settings: Settings) -> None:
        self._line = Stream(line)
        self._life = life
        self._settings = settings
        self._server_gone = False
        self._requests: list[Frame] = []
        self._cpu = 0.0
        self._count = 0
        self._worker: WorkerHandle | None = None
        self._bell, self._bell_write = os.pipe()
        for descriptor in (self._bell, self._bell_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._bell_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        """Serve until the client or the server goes."""
        stillborn = 0
        while not self._over:
            if self._worker is None:
                self._worker = self._start_worker()
            self._pump(0.0 if self._requests else None)
            if self._over:
                break  # a request that came with the end has not begun; the client may give it to another guardian
            if self._worker.gone and not (self._requests and self._worker.session):
                # It died idle: no call has begun, so another one takes its place.
                stillborn = 0 if self._worker.ready else stillborn + 1
                self._put_away()
            elif self._requests:
                self._carry_out(self._requests.pop(0))
                stillborn = 0
            if stillborn >= MOST_STILLBORN:
                break
        self._end_tree(0.0)
        self._send_rest()

    @property
    def _over(self) -> bool:
        return self._line.ended or self._server_gone

    def _on_sigterm(self, *_: object) -> None:
        self._server_gone = True

    # --- the worker

    def _start_worker(self) -> WorkerHandle:
        self._count += 1
        ours, theirs = socket.socketpair()
        log, log_write = os.pipe()
        answer = os.path.join(self._settings.folder, f"{os.getpid()}-{self._count}")
        guardian = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                processes.die_with_parent(guardian)
                self._become_worker(ours, theirs, log, log_write, answer)
            except BaseException:
                traceback.print_exc()
            finally:
                worker.flush()
                os._exit(70)
        theirs.close()
        os.close(log_write)
        return WorkerHandle(pid, Stream(ours), Tail(log), answer)

    def _become_worker(
        self, ours: socket.socket, theirs: socket.socket, log: int, log_write: int, answer: str
    ) -> NoReturn:
        os.setsid()
        signal.set_wakeup_fd(-1)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log_write, 1), (log_write, 2)):
            os.dup2(source, target)
        for descriptor in (null, log, log_write, self._life, self._bell, self._bell_write):
            os.close(descriptor)
        ours.close()
        self._line.socket.close()
        if self._settings.mode == "spawn":
            os.set_inheritable(theirs.fileno(), True)
            arguments = [self._settings.to_json(), str(theirs.fileno()), answer]
            start = command("harness.execution.isolation.worker", self._settings.root)
            os.execv(sys.executable, [sys.executable, *start, *arguments])
        worker.set_signals()
        worker.serve(theirs, answer, self._settings)

    def _put_away(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    # --- one call

    def _carry_out(self, request: Frame) -> None:
        header, body = request
        current = self._worker
        assert current is not None
        if header["kind"] == "ask" and (current.gone or not current.session):
            current.session = False
            self._line.send({"status": "crashed", "error": "the service is not running", "stale": True, "alive": False})
            return
        self._line.send({"begun": True})
        self._wait_ready(current)
        watch = MemoryWatch(current.pid, header["limits"]["memory_bytes"])
        kills = processes.kernel_oom_kills()
        self._cpu, cpu_before = 0.0, processes.cpu_seconds(current.pid)
        start = time.monotonic()
        verdict = self._work(current, watch, header, body)
        wall = time.monotonic() - start
        answer = None if verdict else self._read_answer(current, watch)
        current.session = not current.gone and _lives_on(header, answer)
        if not current.session:
            self._finish(header["limits"]["grace"], ends_itself=answer is not None and not header["keep"])
        if answer is None and verdict is None:
            verdict = self._own_end(current, watch, kills)
        current.tail.read()
        ending: dict[str, Any] = {
            "log": current.tail.text(),
            "wall_seconds": wall,
            "cpu_seconds": max(0.0, self._cpu - cpu_before),
            "peak_memory_bytes": watch.peak,
            "isolation": processes.ISOLATION,
            "alive": current.session,
        }
        if verdict is not None:
            ending.update(asdict(verdict))
        elif answer is not None:
            ending.update({name: answer[0][name] for name in ("status", "error", "traceback")})
            if current.session:
                ending["cpu_seconds"] = answer[0]["cpu_seconds"]
        self._line.send(ending, answer[1] if answer and not verdict else b"")
        current.tail.clear()
        if not current.session:
            self._put_away()

    def _wait_ready(self, current: WorkerHandle) -> None:
        late = time.monotonic() + START_SECONDS
        while not (current.ready or current.gone or self._over) and time.monotonic() < late:
            self._pump(1.0)

    def _work(self, current: WorkerHandle, watch: MemoryWatch, header: dict[str, Any], body: bytes) -> Verdict | None:
        """Hand the request to the worker and wait; a verdict if the guardian is to end the call."""
        if not current.ready:
            return None if self._over or current.gone else Verdict("crashed", "the worker did not start")
        current.woken = False
        message = {name: header[name] for name in ("kind", "target", "environment", "keep")}
        limits = header["limits"]
        current.stream.send({**message, "memory_bytes": limits["memory_bytes"]}, body)
        return self._watch(current, watch, limits["seconds"], limits["memory_bytes"])

    def _watch(
        self, current: WorkerHandle, watch: MemoryWatch, seconds: float | None, most: int | None
    ) -> Verdict | None:
        start = time.monotonic()
        look = start + TICK
        while True:
            now = time.monotonic()
            due = look if seconds is None else min(look, start + seconds)
            self._pump(max(0.0, due - now))
            if self._over:
                return Verdict("crashed", "the fork server ended") if self._server_gone else None
            if current.gone or (current.woken and os.path.exists(current.answer)):
                return None
            now = time.monotonic()
            if seconds is not None and now >= start + seconds:
                return Verdict("timeout", f"no answer within {seconds:g} s")
            if now >= look:
                # A function that closed our socket cannot wake us.
                if current.stream.ended and os.path.exists(current.answer):
                    return None
                held = watch.sample(processes.descendants(os.getpid()))
                if most is not None and held > most:
                    return Verdict("oom", f"more than {_bytes(most)} of memory in use ({_bytes(held)})")
                look = max(look + TICK, now + TICK / 2)

    def _read_answer(self, current: WorkerHandle, watch: MemoryWatch) -> Frame | None:
        if self._over:
            return None
        try:
            size = os.path.getsize(current.answer)
            if size > MOST_ANSWER:
                error = f"the answer has {_bytes(size)}, more than {_bytes(MOST_ANSWER)}"
                return {"status": "failed", "error": error, "traceback": "", "cpu_seconds": 0.0}, b""
            with open(current.answer, "rb") as file:
                found = unpack(file.read())
            os.unlink(current.answer)
        except (OSError, Damaged):
            return None
        if found is None:
            return None
        watch.note(found[0][0]["memory"])
        return found[0]

    def _own_end(self, current: WorkerHandle, watch: MemoryWatch, kills: int) -> Verdict:
        """How a worker that left no answer came to its end."""
        if self._over:
            return Verdict("crashed", "the fork server ended")
        status = current.status
        if status is None:
            return Verdict("crashed", "the answer could not be read")
        if not os.WIFSIGNALED(status):
            return Verdict("crashed", f"exit code {os.waitstatus_to_exitcode(status)}")
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if number == signal.SIGKILL and (watch.near_limit or processes.kernel_oom_kills() > kills):
            return Verdict("oom", f"killed by {name} for want of memory", number)
        return Verdict("crashed", f"killed by {name}", number)

    # --- the end of processes

    def _finish(self, grace: float, ends_itself: bool) -> None:
        """End all processes of a call. A worker that has answered ends by itself, so it gets a moment first."""
        if self._over:
            grace = 0.0
        elif ends_itself and self._worker is not None:
            late = time.monotonic() + max(grace, 0.5)
            while not (self._worker.gone or self._over) and time.monotonic() < late:
                self._pump(0.05)
        self._end_tree(grace)

    def _end_tree(self, grace: float) -> None:
        left = processes.descendants(os.getpid())
        if left and grace > 0:
            processes.send(left, signal.SIGTERM)
            late = time.monotonic() + grace
            while left and not self._line.ended and time.monotonic() < late:
                self._pump(0.01)
                left = processes.descendants(os.getpid())
        late = time.monotonic() + UNKILLABLE_SECONDS
        while left and time.monotonic() < late:
            # Stopped processes cannot fork while the rest of the tree is being found.
            processes.send(left, signal.SIGSTOP)
            left = processes.descendants(os.getpid())
            processes.send(left, signal.SIGKILL)
            self._pump(0.005)
            left = processes.descendants(os.getpid())

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._cpu += usage.ru_utime + usage.ru_stime
            if self._worker is not None and pid == self._worker.pid:
                self._worker.status = status

    # --- events

    def _pump(self, timeout: float | None) -> None:
        """Wait for anything to happen, or `timeout` seconds, and take note of it."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if not self._server_gone:
            poll.register(self._life, select.POLLIN)
        if not self._line.ended:
            poll.register(self._line, select.POLLIN | (select.POLLOUT if self._line.unsent else 0))
        current = self._worker
        if current is not None and not current.stream.ended:
            poll.register(current.stream, select.POLLIN | (select.POLLOUT if current.stream.unsent else 0))
        if current is not None and not current.tail.ended:
            poll.register(current.tail, select.POLLIN)
        for descriptor, _ in poll.poll(None if timeout is None else 1000 * timeout):
            if descriptor == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
            elif descriptor == self._life:
                self._server_gone = True
            elif descriptor == self._line.fileno():
                self._line.flush()
                self._requests += self._line.receive()
            elif current is not None and descriptor == current.tail.fileno():
                current.tail.read()
            elif current is not None:
                current.stream.flush()
                self._hear(current)
        self._reap()

    def _hear(self, current: WorkerHandle) -> None:
        """Bytes from the worker: their number and values do not matter, except that the first says it is ready."""
        try:
            data = current.stream.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            current.stream.ended = True
        elif not current.ready:
            current.ready = True
        else:
            current.woken = True

    def _send_rest(self) -> None:
        """Give a client that is still there a moment to take the last ending."""
        late = time.monotonic() + 5
        while self._line.unsent and time.monotonic() < late:
            poll = select.poll()
            poll.register(self._line, select.POLLOUT)
            poll.poll(200)
            self._line.flush()


def _lives_on(header: dict[str, Any], answer: Frame | None) -> bool:
    """Whether the worker stays for further calls: only a service's does, and not after a failed start or an oom."""
    if not header["keep"] or answer is None:
        return False
    return answer[0]["status"] in (("ok",) if header["kind"] == "open" else ("ok", "failed"))


def _bytes(number: int) -> str:
    return f"{number / (1 << 20):.0f} MiB"
