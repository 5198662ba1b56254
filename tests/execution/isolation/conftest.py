from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # workers find `isolation_functions` on the path of the client

from isolation_helpers import Processes, wait_until

from harness.execution.isolation import Pool


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
