"""SIGKILL to every process of the chain, at the worst moments. The mark of `processes` proves that nothing is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from isolation_helpers import Processes, alive, said, wait_until

from harness.execution.isolation import Ending, Limits, Pool

FREE = Limits(seconds=60.0, grace=0.2)
HERE = Path(__file__).parent


def run(pool: Pool, function: str, payload: dict[str, Any] | None = None) -> Ending:
    return pool.submit(f"isolation_functions:{function}", payload or {}, FREE).result(90)


@pytest.mark.parametrize("function", ["pause_in_c", "multiply_forever"])
def test_worker_in_a_native_call(pool: Pool, tmp_path: Path, function: str) -> None:
    call = pool.submit(f"isolation_functions:{function}", {"file": str(tmp_path / "pids")}, FREE)
    os.kill(said(tmp_path / "pids")[0], signal.SIGKILL)
    ending = call.result(60)
    assert (ending.status, ending.error, ending.signal) == ("crashed", "killed by SIGKILL", signal.SIGKILL)
    assert run(pool, "echo").status == "ok"


def test_guardian(pool: Pool, tmp_path: Path) -> None:
    busy = pool.submit("isolation_functions:pause_in_c", {"file": str(tmp_path / "busy")}, FREE)
    worker, guardian = said(tmp_path / "busy")
    os.kill(guardian, signal.SIGKILL)
    ending = busy.result(60)
    assert ending.status == "crashed"
    assert ending.error == "the guardian of the call ended: killed by SIGKILL"
    assert not alive(worker)
    assert [run(pool, "echo", {"n": n}).value for n in range(4)] == [{"n": n} for n in range(4)]


def test_guardian_with_a_detached_process(pool: Pool, tmp_path: Path) -> None:
    payload = {"file": str(tmp_path / "pids"), "then": "hang"}
    call = pool.submit("isolation_functions:detach", payload, FREE)
    detached, _, guardian = said(tmp_path / "pids")
    os.kill(guardian, signal.SIGKILL)
    assert call.result(60).status == "crashed"
    assert not alive(detached)


def test_idle_guardians(pool: Pool) -> None:
    guardian = run(pool, "facts").value["guardian"]
    os.kill(guardian, signal.SIGKILL)
    assert [run(pool, "echo", {"n": n}).value for n in range(4)] == [{"n": n} for n in range(4)]


def test_idle_worker(processes: Processes) -> None:
    """A worker that dies before a call begins costs nobody a call."""
    with Pool(1, environment=processes.environment) as pool:
        assert run(pool, "echo").status == "ok"
        wait_until(lambda: pool.link.renewed, "the server to have tidied up its memory")
        facts = run(pool, "facts").value
        for guardian in {facts["guardian"], run(pool, "facts").value["guardian"]}:
            children = Path(f"/proc/{guardian}/task/{guardian}/children")
            wait_until(children.read_text, "the next worker")
            worker = int(children.read_text())
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda pid=worker: not alive(pid), "the idle worker to die")
        assert [run(pool, "echo", {"n": n}).status for n in range(4)] == ["ok"] * 4


def test_server(pool: Pool, processes: Processes, tmp_path: Path) -> None:
    calls = [
        pool.submit("isolation_functions:detach", {"file": str(tmp_path / f"{n}"), "then": "hang"}, FREE)
        for n in range(2)
    ]
    queued = pool.submit("isolation_functions:echo", {"a": 1}, FREE)
    detached = [said(tmp_path / f"{n}")[0] for n in range(2)]
    first = pool.link.server
    os.kill(first, signal.SIGKILL)
    for call in calls:
        ending = call.result(60)
        assert ending.status == "crashed"
        assert "server" in ending.error
    assert not any(alive(pid) for pid in detached)
    assert queued.result(60).value == {"a": 1}, "what had not begun runs on the new server"
    assert pool.link.server != first


def test_idle_server(pool: Pool, processes: Processes) -> None:
    assert run(pool, "echo").status == "ok"
    before = processes.living()
    os.kill(pool.link.server, signal.SIGKILL)
    wait_until(lambda: not any(map(alive, before)), "all processes of the server to be gone")
    assert [run(pool, "echo", {"n": n}).value for n in range(3)] == [{"n": n} for n in range(3)]


DRIVER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from harness.execution.isolation import Limits, Pool, Service
pool = Pool(3)
service = Service("isolation_functions:Counter", pool=pool)
assert service.call("add", {"amount": 1}, Limits(30)).value == 1
calls = [
    pool.submit("isolation_functions:detach", {"file": sys.argv[2] + "/detached", "then": "hang"}, Limits(600)),
    pool.submit("isolation_functions:pause_in_c", {"file": sys.argv[2] + "/paused"}, Limits(600)),
    pool.submit("isolation_functions:linger", {"file": sys.argv[2] + "/lingering"}, Limits(600)),
]
try:
    for call in calls:
        call.result()
except KeyboardInterrupt:
    pool.close()
    print(*(call.result().status for call in calls), service.call("add", {"amount": 1}).status, flush=True)
"""


def start_driver(processes: Processes, folder: Path) -> subprocess.Popen[str]:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(HERE), str(folder)],
        env={**os.environ, **processes.environment, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for name in ("detached", "paused", "lingering"):
        said(folder / name)
    return driver


def test_driver(processes: Processes, tmp_path: Path) -> None:
    driver = start_driver(processes, tmp_path)
    driver.kill()
    driver.communicate(timeout=60)
    wait_until(lambda: not processes.living(), "everything below the driver to be gone")
    assert not list(tmp_path.glob("harness-*")), "and its folder"


def test_driver_and_server_at_once(processes: Processes, tmp_path: Path) -> None:
    driver = start_driver(processes, tmp_path)
    below = Path(f"/proc/{driver.pid}/task").iterdir()
    servers = [int(pid) for task in below for pid in (task / "children").read_text().split()]
    for pid in (driver.pid, *servers):
        os.kill(pid, signal.SIGSTOP)
    for pid in (driver.pid, *servers):
        os.kill(pid, signal.SIGKILL)
    driver.communicate(timeout=60)
    assert len(servers) == 1
    wait_until(lambda: not processes.living(), "everything below the driver to be gone")


def test_ctrl_c(processes: Processes, tmp_path: Path) -> None:
    driver = start_driver(processes, tmp_path)
    os.killpg(driver.pid, signal.SIGINT)  # as a terminal does it
    out, err = driver.communicate(timeout=60)
    assert out.split() == ["interrupted"] * 4, err
    assert not (tmp_path / "lingering.interrupted").exists(), "Ctrl-C must not reach the workers"
    assert not list(tmp_path.glob("harness-*"))


@pytest.mark.parametrize("side", ["parent", "child"])
@pytest.mark.parametrize("number", range(1, 7))
def test_kill_inside_fork(processes: Processes, tmp_path: Path, number: int, side: str) -> None:
    environment = {
        **processes.environment,
        "PYTHONPATH": str(HERE / "sabotage"),
        "KILL_AT_FORK": f"{number} {side} {tmp_path / 'forks'}",
    }
    with Pool(1, environment=environment) as pool:
        endings = [run(pool, "echo", {"n": n}) for n in range(8)]
        for n, ending in enumerate(endings):
            assert ending.status in ("ok", "crashed")
            assert ending.value == ({"n": n} if ending.status == "ok" else None)
        assert sum(ending.status == "crashed" for ending in endings) <= 1
        assert endings[-1].status == "ok"
    assert (tmp_path / "forks").stat().st_size >= number, "the blow was struck"


def test_close_interrupts(processes: Processes, tmp_path: Path) -> None:
    pool = Pool(1, environment=processes.environment)
    running = pool.submit("isolation_functions:pause_in_c", {"file": str(tmp_path / "pids")}, Limits(grace=60))
    queued = pool.submit("isolation_functions:echo", {}, FREE)
    cancelled = pool.submit("isolation_functions:echo", {}, FREE)
    said(tmp_path / "pids")
    assert cancelled.cancel()
    pool.close()
    assert running.result(0).status == queued.result(0).status == "interrupted"
    assert cancelled.cancelled()
    assert not processes.living()
    pool.close()
