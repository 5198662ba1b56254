"""What the client tells the server when it starts it; it travels as one JSON argument."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Settings:
    """How a server and its workers are set up.

    Attributes:
        mode: "fork" (workers are copies of the warmed-up server) or "spawn" (fresh interpreters).
        reason: why spawn was taken though fork was asked for, or "".
        warm_up: "module:function" without arguments, called once in the server (fork) or in every worker (spawn).
        threads: threads that numerical libraries may use in a worker.
        path: the client's `sys.path`.
        root: folder that holds the package `harness`.
        folder: where answers of workers lie until their guardian has read them; private to this server.
        client: process id of the client.
        socket: file descriptor of the socket to the client.
    """

    mode: str
    warm_up: str
    threads: int
    path: tuple[str, ...]
    root: str
    folder: str
    client: int
    socket: int
    reason: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        value = json.loads(text)
        return cls(**{**value, "path": tuple(value["path"])})


def command(module: str, root: str) -> list[str]:
    """Arguments, after the interpreter, that run `main()` of a module of `harness` wherever it is installed."""
    start = "import sys; sys.path.append(sys.argv.pop(1)); from {} import main; main()"
    return ["-P", "-c", start.format(module), root]
