"""The contract of executors: whatever becomes of a call, the future gives an ending."""

from __future__ import annotations

from typing import Any

from harness.execution.executor import Executor
from harness.execution.isolation import Limits


def echo(payload: dict[str, Any]) -> dict[str, Any]:
    """Returns what it is given."""
    return payload


def fail(payload: dict[str, Any]) -> None:
    """Raises ValueError."""
    raise ValueError(payload["text"])


class Counter:
    """Counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def add(self, number: int) -> int:
        self.calls += number
        return self.calls


class ExecutorContract:
    """Override `make` to return the executor under test with one worker."""

    def make(self) -> Executor:
        raise NotImplementedError("define make(): the executor under test")

    def test_a_call_gives_its_value(self) -> None:
        with self.make() as executor:
            ending = executor.submit(f"{__name__}:echo", {"a": [1, 2.5, None]}, Limits(30.0, None)).result()
        assert ending.status == "ok"
        assert ending.value == {"a": [1, 2.5, None]}

    def test_an_exception_is_an_ending(self) -> None:
        with self.make() as executor:
            ending = executor.submit(f"{__name__}:fail", {"text": "no luck"}, Limits(30.0, None)).result()
        assert ending.status == "failed"
        assert "no luck" in ending.error
        assert "ValueError" in ending.traceback

    def test_a_service_keeps_its_state(self) -> None:
        with self.make() as executor:
            service = executor.serve(f"{__name__}:Counter", {})
            try:
                limits = Limits(30.0, None)
                assert [service.call("add", {"number": n}, limits).value for n in (1, 2)] == [1, 3]
            finally:
                service.close()
