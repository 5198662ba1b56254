"""What a call in a process of its own costs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.execution.isolation import Limits, Pool, Service

LIMITS = Limits(seconds=60.0, memory_bytes=1 << 30)
WARM = "harness.execution.warm:warm_up"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(2, warm_up=WARM) as made:
        assert made.submit("builtins:len", {}, LIMITS).result(60).ok
        yield made


def test_warm_round_trip(pool: Pool, benchmark: BenchmarkFixture) -> None:
    """A trivial call, one after another, from a server that holds torch."""
    ending = benchmark.pedantic(lambda: pool.submit("builtins:len", {}, LIMITS).result(), rounds=50, warmup_rounds=5)
    assert ending.value == 0


def test_warm_throughput(pool: Pool, benchmark: BenchmarkFixture) -> None:
    """Twenty trivial calls at once on two workers."""

    def twenty() -> list[int]:
        return [call.result().value for call in [pool.submit("builtins:len", {}, LIMITS) for _ in range(20)]]

    assert benchmark.pedantic(twenty, rounds=5) == [0] * 20


def test_service_round_trip(pool: Pool, benchmark: BenchmarkFixture) -> None:
    """A call in a process that stays."""
    with Service("collections:UserDict", pool=pool) as service:
        ending = benchmark.pedantic(lambda: service.call("__len__"), rounds=100)
    assert ending.value == 0


def test_first_call(benchmark: BenchmarkFixture) -> None:
    """From nothing to the first answer: a new server, torch imported and one optimizer step taken."""

    def first() -> bool:
        with Pool(2, warm_up=WARM) as made:
            return made.submit("builtins:len", {}, LIMITS).result(60).ok

    assert benchmark.pedantic(first, rounds=3)
