"""The process that is warmed up once and forks a guardian for every line of calls.

It has a single thread for life: a fork copies only the calling thread, and locks held by others would stay locked.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import select
import shutil
import signal
import socket
import sys
import time
import traceback
from collections import deque
from dataclasses import replace

from harness.execution.isolation import processes
from harness.execution.isolation.framing import Frame, Stream, unpack
from harness.execution.isolation.guardian import Guardian
from harness.execution.isolation.pages import use_huge_pages
from harness.execution.isolation.settings import Settings, command
from harness.execution.isolation.worker import resolve

QUIET_SECONDS = 0.1  # without orders, before the server tidies up its memory
END_SECONDS = 10.0  # for guardians to clean up when the client has gone


def main() -> None:
    settings = Settings.from_json(sys.argv[1])
    processes.die_with_parent(settings.client, signal.SIGTERM)
    processes.adopt_orphans()
    sys.path[:] = [*settings.path, *(entry for entry in sys.path if entry not in settings.path)]
    faulthandler.enable(file=2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    server = Server(settings)
    if server.warm_up():
        server.run()
    server.end()


class Server:
    """Forks guardians and cleans up after those that were killed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = Stream(socket.socket(fileno=settings.socket))
        self._orders: deque[int] = deque()
        self._sockets: deque[int] = deque()
        self._incoming = bytearray()
        self._guardians: dict[int, int] = {}  # process id -> line
        self._life, self._life_write = os.pipe()
        self._bell, self._bell_write = os.pipe()
        self._ending = False

    def warm_up(self) -> bool:
        """Import what workers will need; tell the client how it went."""
        settings = self._settings
        processes.set_name("harness-server")
        if settings.mode == "fork":
            try:
                if settings.warm_up:
                    resolve(settings.warm_up)()
            except BaseException as exception:
                traceback.print_exc()
                self._tell({"op": "broken", "error": f"{type(exception).__name__}: {exception}"})
                return False
            names = processes.thread_names()
            if len(names) > 1:
                self._spawn_instead(f"{settings.warm_up} left {len(names)} threads: {', '.join(names)}")
            gc.collect()
            gc.freeze()
        for descriptor in (self._bell, self._bell_write):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._bell_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._tell({"op": "hello", "mode": settings.mode, "reason": settings.reason, "server": os.getpid()})
        return True

    def _spawn_instead(self, reason: str) -> None:
        """Start over in mode "spawn", in the same process and on the same socket."""
        settings = replace(self._settings, mode="spawn", reason=reason)
        os.set_inheritable(self._client.fileno(), True)
        start = command("harness.execution.isolation.server", settings.root)
        os.execv(sys.executable, [sys.executable, *start, settings.to_json()])

    def _on_sigterm(self, *_: object) -> None:
        self._ending = True

    def run(self) -> None:
        """Serve until the client goes."""
        renewed = self._settings.mode != "fork"
        while not (self._client.ended or self._ending):
            quiet = not self._pump(None if renewed or not self._guardians else QUIET_SECONDS)
            if quiet and not renewed:
                # Later forks get cheaper, but the first calls should not wait for it.
                renewed = True
                use_huge_pages()
                self._tell({"op": "renewed"})
            while self._orders and self._sockets and not self._client.ended:
                self._start_guardian(self._orders.popleft(), socket.socket(fileno=self._sockets.popleft()))

    def _pump(self, timeout: float | None) -> bool:
        """Wait for anything to happen, or `timeout` seconds; whether something did."""
        poll = select.poll()
        poll.register(self._bell, select.POLLIN)
        if not self._client.ended:
            poll.register(self._client, select.POLLIN | (select.POLLOUT if self._client.unsent else 0))
        events = poll.poll(None if timeout is None else 1000 * timeout)
        for descriptor, _ in events:
            if descriptor == self._bell:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._bell, 4096)
            else:
                self._client.flush()
                self._take_orders()
        self._reap()
        return bool(events)

    def _take_orders(self) -> None:
        try:
            data, sockets, _, _ = socket.recv_fds(self._client.socket, 1 << 16, 16)
        except BlockingIOError:
            return
        except OSError:
            data, sockets = b"", []
        self._sockets.extend(sockets)
        if not data:
            self._client.ended = True
        self._incoming += data
        while found := unpack(self._incoming):
            frame: Frame = found[0]
            self._orders.append(frame[0]["line"])
            del self._incoming[: found[1]]

    def _start_guardian(self, number: int, line: socket.socket) -> None:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            line.close()
            self._tell({"op": "gone", "line": number, "how": f"no process could be started: {error}"})
            return
        if pid == 0:
            code = 70
            try:
                processes.die_with_parent(server, signal.SIGTERM)
                self._become_guardian(line)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        line.close()
        self._guardians[pid] = number

    def _become_guardian(self, line: socket.socket) -> None:
        signal.set_wakeup_fd(-1)
        self._client.socket.close()
        for descriptor in (self._life_write, self._bell, self._bell_write, *self._sockets):
            os.close(descriptor)
        processes.set_name("harness-guard")
        processes.adopt_orphans()
        Guardian(line, self._life, self._settings).run()

    def _reap(self) -> None:
        """Bury guardians; kill what a killed guardian left, then say so."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._guardians:
                number = self._guardians.pop(pid)
                self._kill_orphans()
                code = os.waitstatus_to_exitcode(status)
                how = f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"
                self._tell({"op": "gone", "line": number, "how": how})

    def _kill_orphans(self) -> None:
        late = time.monotonic() + END_SECONDS
        while time.monotonic() < late:
            orphans = self._orphans()
            if not orphans:
                return
            processes.send(orphans, signal.SIGSTOP)
            processes.send(self._orphans(), signal.SIGKILL)
            for pid in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)

    def _orphans(self) -> list[int]:
        """Processes below this one that no guardian watches over."""
        own = processes.children(os.getpid())
        strays = [pid for pid in own if pid not in self._guardians]
        return strays + [pid for stray in strays for pid in processes.descendants(stray)]

    def _tell(self, message: dict[str, object]) -> None:
        self._client.send(message)

    def _say_goodbye(self) -> None:
        """Close the socket. A client that still sends orders would lose our last words, so wait until it stops."""
        late = time.monotonic() + END_SECONDS
        with contextlib.suppress(OSError):
            self._client.socket.shutdown(socket.SHUT_WR)
            while not (self._client.ended or self._ending) and time.monotonic() < late:
                poll = select.poll()
                poll.register(self._client, select.POLLIN)
                poll.poll(200)
                self._client.receive()
        for descriptor in self._sockets:
            os.close(descriptor)
        self._client.close()

    def end(self) -> None:
        """Let the guardians clean up, then go, with all that is left."""
        self._say_goodbye()
        os.close(self._life_write)
        late = time.monotonic() + END_SECONDS
        while self._guardians and time.monotonic() < late:
            self._client.ended = True
            self._pump(0.2)
        processes.send(processes.descendants(os.getpid()), signal.SIGKILL)
        shutil.rmtree(self._settings.folder, ignore_errors=True)
        os._exit(0)
