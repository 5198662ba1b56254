"""The last lines of what a process writes, in bounded memory."""

from __future__ import annotations

import os

MOST_BYTES = 16 << 10
MOST_LINES = 120  # a crash leaves the Python stacks of all threads; what was printed before them matters too
CHUNK = 1 << 16


class Tail:
    """Reads a pipe without blocking and remembers its end.

    Args:
        descriptor: the reading end; closed by `close`.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._kept = b""
        self.ended = False

    def fileno(self) -> int:
        return self._descriptor

    def read(self) -> None:
        """Take what is there, at most 4 MB a call; whatever is not the end is dropped."""
        for _ in range(64):
            try:
                data = os.read(self._descriptor, CHUNK)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.ended = True
                return
            self._kept = (self._kept + data)[-2 * MOST_BYTES :]

    def text(self) -> str:
        """The last lines, at most 120 and 16 KB."""
        lines = self._kept[-MOST_BYTES:].decode(errors="replace").splitlines()
        return "\n".join(lines[-MOST_LINES:])

    def clear(self) -> None:
        self._kept = b""

    def close(self) -> None:
        os.close(self._descriptor)
