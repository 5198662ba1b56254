"""The ways a pool can be set up, and set up wrongly."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from isolation_helpers import Processes, wait_until

from harness.errors import HarnessError
from harness.execution.isolation import Limits, Pool

PLENTY = Limits(seconds=60.0, memory_bytes=1 << 30, grace=0.2)
WARM = "harness.execution.warm:warm_up"


def test_warm_fork_server_stays_single_threaded(processes: Processes) -> None:
    with Pool(1, mode="fork", warm_up=WARM, environment=processes.environment) as pool:
        facts = pool.submit("isolation_functions:facts", {}, PLENTY).result(60).value
        assert (pool.mode, pool.reason) == ("fork", "")
        assert facts["torch"], "the worker was forked from a server that had torch"
        assert facts["threads"] == 1
        assert len(list(Path(f"/proc/{pool.link.server}/task").iterdir())) == 1


def test_guardians_are_renewed_once_forks_are_cheap(processes: Processes) -> None:
    with Pool(1, mode="fork", environment=processes.environment) as pool:
        first = pool.submit("isolation_functions:facts", {}, PLENTY).result(60).value["guardian"]
        wait_until(lambda: pool.link.renewed, "the server to have tidied up its memory")
        later = {pool.submit("isolation_functions:facts", {}, PLENTY).result(60).value["guardian"] for _ in range(4)}
        assert len(later) == 2, "one more than the workers, in turn"
        assert first not in later


def test_torch_in_a_warm_worker(processes: Processes) -> None:
    with Pool(1, mode="fork", warm_up=WARM, environment=processes.environment, threads=2) as pool:
        ending = pool.submit("isolation_functions:train_a_little", {}, PLENTY).result(60)
        assert ending.status == "ok", ending.traceback
        assert ending.value["threads"] == 2
        assert ending.value["after"] < ending.value["before"]
        ending = pool.submit("isolation_functions:allocate_tensor", {"bytes": 8 << 30}, PLENTY).result(60)
        assert ending.status == "oom", "torch has no exception class of its own for this on CPU"


def test_spawn(processes: Processes) -> None:
    with Pool(1, mode="spawn", environment=processes.environment) as pool:
        calls = [pool.submit("isolation_functions:facts", {}, PLENTY) for _ in range(3)]
        facts = [call.result(60).value for call in calls]
        assert pool.mode == "spawn"
        assert len({fact["pid"] for fact in facts}) == 3
        assert all(len(fact["fds"]) == 5 for fact in facts)
        assert pool.submit("isolation_functions:segfault", {}, PLENTY).result(60).error == "killed by SIGSEGV"
        limits = Limits(seconds=0.3, grace=0.1)
        assert pool.submit("isolation_functions:busy", {}, limits).result(60).status == "timeout"


def test_threads_after_warm_up_forbid_forking(processes: Processes) -> None:
    warm_up = "isolation_functions:warm_with_thread"
    with Pool(1, mode="fork", warm_up=warm_up, environment=processes.environment) as pool:
        assert pool.submit("isolation_functions:echo", {"a": 1}, PLENTY).result(60).value == {"a": 1}
        assert pool.mode == "spawn"
        assert pool.reason.startswith("isolation_functions:warm_with_thread left 2 threads")


def test_broken_warm_up_ends_every_call(processes: Processes) -> None:
    with Pool(2, warm_up="isolation_functions:warm_badly", environment=processes.environment) as pool:
        calls = [pool.submit("isolation_functions:echo", {}, PLENTY) for _ in range(5)]
        for call in calls:
            ending = call.result(60)
            assert ending.status == "crashed"
            assert ending.error.endswith("the fork server could not warm up: ImportError: no such luck")


def test_broken_warm_up_in_spawn(processes: Processes) -> None:
    warm_up = "isolation_functions:warm_badly"
    with Pool(1, mode="spawn", warm_up=warm_up, environment=processes.environment) as pool:
        ending = pool.submit("isolation_functions:echo", {}, PLENTY).result(60)
        assert ending.status == "crashed"
        assert "no such luck" in ending.log


def test_wrong_settings() -> None:
    with pytest.raises(HarnessError, match="unknown mode 'thread' of isolation; known: fork, spawn"):
        Pool(1, mode="thread")
    with pytest.raises(HarnessError, match="workers = 0"):
        Pool(0)
    with pytest.raises(HarnessError, match="threads = 0"):
        Pool(1, threads=0)


def test_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(HarnessError, match="use the executor 'inline'"):
        Pool(1)


def test_closed_pool() -> None:
    pool = Pool(1)
    pool.close()
    with pytest.raises(HarnessError, match="closed"):
        pool.submit("isolation_functions:echo", {}, PLENTY)
