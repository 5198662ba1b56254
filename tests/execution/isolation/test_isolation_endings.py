"""How calls end by themselves, and what is reported about them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from isolation_helpers import alive, said, wait_until

from harness.execution.isolation import Ending, Limits, Pool

PLENTY = Limits(seconds=60.0, memory_bytes=1 << 30, grace=0.5)


def run(pool: Pool, function: str, payload: dict[str, Any] | None = None, limits: Limits = PLENTY) -> Ending:
    return pool.submit(f"isolation_functions:{function}", payload or {}, limits).result(90)


def test_value_comes_back(shared: Pool) -> None:
    payload = {"a": [1, 2.5, None, "ü"], "b": {"c": True}}
    ending = run(shared, "echo", payload)
    assert ending.status == "ok"
    assert ending.value == payload
    assert (ending.error, ending.traceback, ending.signal, ending.isolation) == ("", "", 0, "full")


def test_every_call_has_a_fresh_process(shared: Pool) -> None:
    first, second = run(shared, "facts").value, run(shared, "facts").value
    assert first["pid"] != second["pid"]
    assert first["session"] == first["pid"]
    assert first["threads"] == 1
    assert first["stdin"] == ""


def test_worker_inherits_no_descriptors(shared: Pool) -> None:
    # Its standard streams, its socket, and the folder that is being listed.
    assert len(run(shared, "facts").value["fds"]) == 5


def test_environment_of_one_call(shared: Pool) -> None:
    name = {"name": "HARNESS_TEST_VALUE"}
    call = shared.submit("isolation_functions:environment", name, PLENTY, environment={"HARNESS_TEST_VALUE": "7"})
    assert call.result(60).value == "7"
    assert run(shared, "environment", name).value is None


def test_exception(shared: Pool) -> None:
    ending = run(shared, "fail")
    assert ending.status == "failed"
    assert ending.error == "ValueError: first line"
    assert "in fail" in ending.traceback
    assert "second line" in ending.traceback
    assert ending.log == "before the error"


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("raise_keyboard_interrupt", "KeyboardInterrupt"),
        ("recurse", "RecursionError: maximum recursion depth exceeded"),
        ("raise_spiteful", "Spiteful: (no text)"),
        ("unserialisable", "TypeError: the function returned what is not a JSON value"),
        ("no_such_function", "AttributeError: module 'isolation_functions' has no attribute 'no_such_function'"),
    ],
)
def test_other_failures(shared: Pool, function: str, error: str) -> None:
    ending = run(shared, function)
    assert ending.status == "failed"
    assert ending.error.startswith(error)
    assert ending.traceback


def test_missing_module(shared: Pool) -> None:
    ending = shared.submit("no_such_module:f", {}, PLENTY).result(60)
    assert ending.status == "failed"
    assert ending.error == "ModuleNotFoundError: No module named 'no_such_module'"


def test_segfault(shared: Pool) -> None:
    ending = run(shared, "segfault")
    assert ending.status == "crashed"
    assert ending.error == "killed by SIGSEGV"
    assert ending.signal == signal.SIGSEGV
    assert "in segfault" in ending.log, "the Python stack at the fault"


@pytest.mark.parametrize(("function", "code"), [("hard_exit", 3), ("hard_exit", 0), ("system_exit", 4)])
def test_exit_without_an_answer(shared: Pool, function: str, code: int) -> None:
    ending = run(shared, function, {"code": code})
    assert ending.status == "crashed"
    assert ending.error == f"exit code {code}"


def test_log_holds_all_streams(shared: Pool) -> None:
    lines = run(shared, "write_everywhere").log.splitlines()
    assert sorted(lines) == ["from C", "from a child", "from python", "from stderr"]


def test_flood_keeps_only_the_end(pool: Pool) -> None:
    ending = run(pool, "flood", {"bytes": 100 << 20})
    assert ending.value == "done"
    assert len(ending.log) <= 16 << 10
    assert ending.log.endswith("the last line")
    guardian = run(pool, "facts").value["guardian"]
    resident = Path(f"/proc/{guardian}/status").read_text().split("VmHWM:")[1].split()[0]
    assert int(resident) < 60 << 10, "the guardian's memory in KiB"


def test_large_payload_and_answer(shared: Pool) -> None:
    text = "z" * (20 << 20)
    assert run(shared, "big", {"bytes": 20 << 20}).value == text
    assert run(shared, "echo", {"text": text}).value == {"text": text}


@pytest.mark.parametrize("function", ["close_everything", "scribble"])
def test_answer_survives_misused_descriptors(shared: Pool, function: str) -> None:
    ending = run(shared, function)
    assert ending.status == "ok"
    assert ending.value in ("still there", "scribbled")


def test_processor_time_includes_children(shared: Pool) -> None:
    ending = run(shared, "spin_in_child")
    assert ending.status == "ok"
    assert ending.cpu_seconds >= 0.3
    assert ending.wall_seconds >= 0.3


def test_peak_memory_is_that_of_the_call(shared: Pool) -> None:
    ending = run(shared, "hold", {"bytes": 200 << 20, "seconds": 0.2})
    assert ending.value == 200 << 20
    assert 200 << 20 <= ending.peak_memory_bytes < 260 << 20


def test_calls_run_at_a_time(shared: Pool, tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    first = shared.submit("isolation_functions:meet", {"mine": one, "other": two}, PLENTY)
    second = shared.submit("isolation_functions:meet", {"mine": two, "other": one}, PLENTY)
    assert first.result(60).status == second.result(60).status == "ok"


def test_many_calls_leave_no_descriptors_behind(pool: Pool) -> None:
    def descriptors(pid: int | str) -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    def counts() -> list[int]:
        return [descriptors("self"), descriptors(pool.link.server), *(descriptors(pid) for pid in sorted(guardians))]

    assert run(pool, "echo").ok
    wait_until(lambda: pool.link.renewed, "the server to have tidied up its memory")
    calls = [pool.submit("isolation_functions:facts", {}, PLENTY) for _ in range(20)]
    guardians = {call.result(60).value["guardian"] for call in calls}
    wait_until(lambda: all(_children(pid) for pid in guardians), "guardians to have their next worker")
    before = counts()
    calls = [pool.submit("isolation_functions:echo", {"number": number}, PLENTY) for number in range(200)]
    assert [call.result(60).value["number"] for call in calls] == list(range(200))
    wait_until(lambda: counts() == before, f"descriptors to be as before: {before}, now {counts()}")


def _children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_client_imports_nothing_heavy() -> None:
    code = (
        "import sys, harness.execution.isolation\n"
        "heavy = {'torch', 'numpy', 'pandas', 'pyarrow', 'scipy', 'sklearn'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_left_processes_are_killed_after_a_good_answer(shared: Pool, tmp_path: Path) -> None:
    ending = run(shared, "detach", {"file": str(tmp_path / "pids")})
    assert (ending.status, ending.value) == ("ok", "left")
    assert not alive(said(tmp_path / "pids")[0])
