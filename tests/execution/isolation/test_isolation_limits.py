"""Calls that are ended: time, memory, and what they try to leave behind."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from isolation_helpers import Processes, alive, said

from harness.execution.isolation import Ending, Limits, Pool

MB = 1 << 20


def run(pool: Pool, function: str, payload: dict[str, Any], limits: Limits) -> Ending:
    return pool.submit(f"isolation_functions:{function}", payload, limits).result(90)


def test_busy_loop(shared: Pool) -> None:
    ending = run(shared, "busy", {}, Limits(seconds=0.3, grace=5.0))
    assert ending.status == "timeout"
    assert ending.error == "no answer within 0.3 s"
    assert "in busy" in ending.log, "where it was"
    assert ending.wall_seconds >= 0.3
    assert ending.cpu_seconds > 0


def test_hang_in_c_deaf_to_sigterm(shared: Pool, tmp_path: Path) -> None:
    ending = run(shared, "pause_in_c", {"file": str(tmp_path / "pids")}, Limits(seconds=2, grace=0.2))
    assert ending.status == "timeout"
    assert not alive(said(tmp_path / "pids")[0])


def test_hang_in_blas(shared: Pool, tmp_path: Path) -> None:
    ending = run(
        shared, "multiply_forever", {"file": str(tmp_path / "pids")}, Limits(seconds=6, grace=0.2)
    )  # numpy is imported first
    assert ending.status == "timeout"
    assert not alive(said(tmp_path / "pids")[0])


def test_next_call_is_unharmed(processes: Processes) -> None:
    with Pool(1, environment=processes.environment) as pool:
        endings = [run(pool, "busy", {}, Limits(seconds=0.1, grace=0.1)).status for _ in range(3)]
        assert endings == ["timeout"] * 3
        assert run(pool, "echo", {"a": 1}, Limits(seconds=30)).value == {"a": 1}


def test_memory_of_a_list(shared: Pool) -> None:
    ending = run(shared, "fill_list", {}, Limits(seconds=60, memory_bytes=150 * MB, grace=0.2))
    assert ending.status == "oom"
    assert ending.error


def test_memory_error_tells_where(shared: Pool) -> None:
    """One allocation far above the limit fails at once, before any of it is used."""
    ending = run(shared, "hold", {"bytes": 4 << 30, "seconds": 0}, Limits(seconds=60, memory_bytes=150 * MB))
    assert ending.status == "oom"
    assert ending.error.startswith("MemoryError")
    assert "in hold" in ending.traceback


def test_memory_of_children_together(shared: Pool) -> None:
    payload = {"children": 4, "bytes": 60 * MB}
    ending = run(shared, "share_the_filling", payload, Limits(seconds=60, memory_bytes=150 * MB, grace=0.2))
    assert ending.status == "oom"
    assert ending.error.startswith("more than 150 MiB of memory in use")
    assert ending.peak_memory_bytes > 150 * MB


def test_memory_below_the_limit(shared: Pool) -> None:
    ending = run(shared, "hold", {"bytes": 100 * MB, "seconds": 0.1}, Limits(seconds=60, memory_bytes=150 * MB))
    assert ending.status == "ok"


def test_kill_near_the_limit_is_put_down_to_memory(shared: Pool) -> None:
    """What the kernel does when the machine has no memory left."""
    limits = Limits(seconds=60, memory_bytes=150 * MB)
    ending = run(shared, "hold_and_be_killed", {"bytes": 142 * MB}, limits)
    assert (ending.status, ending.signal) == ("oom", signal.SIGKILL)
    ending = run(shared, "hold_and_be_killed", {"bytes": 10 * MB}, limits)
    assert (ending.status, ending.signal) == ("crashed", signal.SIGKILL)


@pytest.mark.parametrize("function", ["detach", "keep_forking"])
def test_detached_processes_end_with_their_call(processes: Processes, tmp_path: Path, function: str) -> None:
    with Pool(1, environment=processes.environment) as pool:
        payload = {"file": str(tmp_path / "pids"), "then": "hang"}
        call = pool.submit(f"isolation_functions:{function}", payload, Limits(seconds=1.0, grace=0.1))
        pid = said(tmp_path / "pids")[0]
        assert call.result(90).status == "timeout"
        assert not alive(pid)
        assert len(processes.living()) <= 5, "the server, two guardians and their idle workers"
