import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from guess_the_mean import PLUGIN

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


@pytest.fixture
def guess_the_mean(tmp_path, monkeypatch):
    """A plugin file with a task that fails on request, a learner and an artifact that counts its builds."""
    path = tmp_path / f"guess_{tmp_path.name}.py"  # each a module of its own: they share this process
    path.write_text(PLUGIN)
    (tmp_path / "builds").touch()
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    return path


@pytest.fixture
def builds(tmp_path):
    """How often the artifact has been built."""
    return lambda: len((tmp_path / "builds").read_text())
