import os
import sys

import pytest

# Benchmarks are run by hand: pytest tests/benchmarks
collect_ignore = [] if any("benchmarks" in argument for argument in sys.argv) else ["benchmarks"]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Descriptions are cached below a folder of the test session, never in the user's cache."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in ("HARNESS_PLUGINS", "HARNESS_TRACE"):
        monkeypatch.delenv(name, raising=False)


def pytest_configure(config):
    # One thread for each test process: the suite runs two of them on two cores.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
