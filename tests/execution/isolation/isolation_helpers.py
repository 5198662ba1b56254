"""Waiting for conditions, and finding processes."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path


class Processes:
    """Finds the processes of one test by a mark in their environment."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {"HARNESS_TEST_MARK": self.mark}

    def living(self) -> list[int]:
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                try:
                    text = Path(f"/proc/{name}/environ").read_bytes()
                except OSError:
                    continue
                if self.mark.encode() in text:
                    found.append(int(name))
        return found


def alive(pid: int) -> bool:
    """It exists and is not a zombie that waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    late = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < late, f"not within {seconds} s: {what}"
        time.sleep(0.005)


def said(file: Path) -> list[int]:
    """The process ids that a function wrote with `say`: its own, its parent's."""
    wait_until(file.exists, f"{file} to be written")
    return [int(word) for word in file.read_text().split()]
