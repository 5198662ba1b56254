"""An object in a process of its own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from isolation_helpers import Processes, alive, said, wait_until

from harness.errors import HarnessError
from harness.execution.isolation import Limits, Pool, Service

PLENTY = Limits(seconds=60.0, memory_bytes=1 << 30, grace=0.2)
SHORT = Limits(seconds=0.3, grace=0.1)


@pytest.fixture(params=["own server", "shared server"])
def counter(processes: Processes, request: pytest.FixtureRequest) -> Iterator[Service]:
    made = {"start": 10}
    if request.param == "own server":
        with Service("isolation_functions:Counter", made, environment=processes.environment) as service:
            yield service
    else:
        with (
            Pool(1, environment=processes.environment) as pool,
            Service("isolation_functions:Counter", made, pool=pool) as service,
        ):
            yield service


def test_state_is_kept(counter: Service) -> None:
    values = [counter.call("add", {"amount": n}, PLENTY).value for n in (1, 2, 3)]
    assert values == [11, 13, 16]


def test_exception_keeps_the_state(counter: Service) -> None:
    counter.call("add", {"amount": 1}, PLENTY)
    ending = counter.call("fail", {}, PLENTY)
    assert (ending.status, ending.error) == ("failed", "ValueError: no")
    ending = counter.call("no_such_method", {}, PLENTY)
    assert (ending.status, ending.error.split(":")[0]) == ("failed", "AttributeError")
    assert counter.call("add", {"amount": 1}, PLENTY).value == 12


@pytest.mark.parametrize(
    ("method", "limits", "status"),
    [
        ("hang", SHORT, "timeout"),
        ("crash", PLENTY, "crashed"),
        ("fill", Limits(seconds=60, memory_bytes=100 << 20, grace=0.1), "oom"),
    ],
)
def test_next_call_starts_afresh(counter: Service, method: str, limits: Limits, status: str) -> None:
    assert counter.call("add", {"amount": 1}, PLENTY).value == 11
    assert counter.call(method, {}, limits).status == status
    assert counter.call("add", {"amount": 1}, PLENTY).value == 11


def test_death_between_two_calls(counter: Service, tmp_path: Path) -> None:
    assert counter.call("die_later", {"file": str(tmp_path / "pids")}, PLENTY).status == "ok"
    pid, _ = said(tmp_path / "pids")
    wait_until(lambda: not alive(pid), "the process to die")
    assert counter.call("add", {"amount": 1}, PLENTY).value == 11


def test_server_killed_between_two_calls(counter: Service, processes: Processes) -> None:
    assert counter.call("add", {"amount": 1}, PLENTY).value == 11
    server, before = counter.link.server, processes.living()
    os.kill(server, signal.SIGKILL)
    # Until the guardian has noticed, the old object may still answer.
    wait_until(lambda: not any(map(alive, before)), "all processes of the server to be gone")
    assert counter.call("add", {"amount": 1}, PLENTY).value == 11
    assert counter.link.server != server


def test_object_that_cannot_be_made() -> None:
    with Service("isolation_functions:no_counter") as service:
        for _ in range(2):
            ending = service.call("add", {"amount": 1}, PLENTY)
            assert (ending.status, ending.error) == ("failed", "start: RuntimeError: cannot be made")


def test_close_ends_the_process(processes: Processes) -> None:
    with Pool(1, environment=processes.environment) as pool:
        service = Service("isolation_functions:Counter", pool=pool)
        assert service.call("add", {"amount": 1}, PLENTY).value == 1
        wait_until(lambda: len(processes.living()) == 7, "a server and three guardians with a worker each")
        service.close()
        wait_until(lambda: len(processes.living()) == 5, "the service and its guardian to be gone")
        with pytest.raises(HarnessError, match="closed"):
            service.call("add", {"amount": 1}, PLENTY)


def test_close_interrupts_a_call(processes: Processes) -> None:
    service = Service("isolation_functions:Counter", environment=processes.environment)
    assert service.call("add", {"amount": 1}, PLENTY).value == 1
    statuses: list[str] = []
    caller = threading.Thread(target=lambda: statuses.append(service.call("hang", {}, PLENTY).status))
    caller.start()
    service.close()
    caller.join(60)
    assert statuses == ["interrupted"]
