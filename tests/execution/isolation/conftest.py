from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # workers find `isolation_functions` on the path of the client

from harness.execution.isolation import Pool  # noqa: E402


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


@pytest.fixture
def processes() -> Iterator[Processes]:
    """The processes of this test; none may be left at its end."""
    marked = Processes()
    yield marked
    wait_until(lambda: not marked.living(), f"processes to be gone: {marked.living()}")


@pytest.fixture
def pool(processes: Processes) -> Iterator[Pool]:
    with Pool(2, environment=processes.environment) as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[Pool]:
    """One pool for tests that harm only their own call."""
    with Pool(2) as made:
        yield made
