"""The board over a million trials of 400 methods on 200 tasks: time and memory of the summary and the best groups."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from harness.storage.maintenance import compact
from harness.storage.schema import schema
from harness.storage.store import Store

pytestmark = pytest.mark.slow
TASKS, METHODS, TRIALS = 200, 400, 1_000_000

_MEASURE = """
import json, sys, time
from harness.boards.plain import board
from harness.storage.store import Store
import duckdb, numpy, pandas, pyarrow.parquet, scipy.special
best = sys.argv[2] == "best"
start = time.perf_counter()
rows = board(Store(sys.argv[1]), best=best)
seconds = time.perf_counter() - start
status = open("/proc/self/status").read()  # ru_maxrss would count the process that started this one
peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
print(json.dumps({
    "seconds": seconds,
    "memory": peak,
    "rows": len(rows),
    "trials": sum(row.n + row.failed for row in rows),
    "best": sum(row.best_group for row in rows),
}))
"""


def part(task: int, rng: np.random.Generator) -> pa.Table:
    """All trials of one task: 12 or 13 seeds a method, a few failures, a spread of true qualities."""
    seeds = 12 + np.arange(METHODS) % 2
    method = np.repeat(np.arange(METHODS), seeds)
    seed = np.concatenate([np.arange(n) for n in seeds])
    rows = len(method)
    failed = (rng.random(rows) < 0.02) & (method % 20 == 7)
    quality = 0.9 - np.abs(rng.normal(size=METHODS)) * 0.05
    value = quality[method] + rng.normal(size=13)[seed] * 0.01 + rng.normal(size=rows) * 0.015
    kept = np.flatnonzero(~failed)
    offsets = np.concatenate([[0], np.cumsum(np.where(failed, 0, 2))]).astype(np.int32)
    count = 2 * len(kept)
    names = pa.array(np.tile(np.array(["accuracy", "nll"], object), len(kept)), pa.string())
    points = pa.MapArray.from_arrays(
        np.zeros(count + 1, np.int32), pa.array([], pa.string()), pa.array([], pa.float64())
    )
    values = np.column_stack([value[kept], 2 - value[kept]]).ravel()
    entries = [names, pa.array(["test"] * count), points, pa.array(values)]
    metrics = pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(entries, ["name", "split", "at", "value"]))
    labels = np.array([f"method-{m:03d}" for m in range(METHODS)], object)
    stage = {"name": labels[method], "package": ["pkg"] * rows, "field": ["loss"] * rows, "params": ["{}"] * rows}
    methods = [[dict(zip(stage, entry, strict=True))] for entry in zip(*stage.values(), strict=True)]
    known = {
        "trial_id": pa.array([f"{task:04d}{m:04d}{s:04d}".rjust(32, "a") for m, s in zip(method, seed, strict=True)]),
        "code_id": pa.array(["c" * 32] * rows),
        "task": pa.array([f"task-{task:03d}"] * rows),
        "task_package": pa.array(["pkg"] * rows),
        "task_version": pa.array([1] * rows, pa.int32()),
        "variant": pa.array(["default"] * rows),
        "scale": pa.array(["small"] * rows),
        "pipeline": pa.array(labels[method], pa.string()),
        "package": pa.array(["pkg"] * rows),
        "methods": pa.array(methods, schema().field("methods").type),
        "seed": pa.array(seed, pa.int64()),
        "tune": pa.array([0] * rows, pa.int32()),
        "role": pa.array(["evaluate"] * rows),
        "status": pa.array(np.where(failed, "failed", "ok").astype(object), pa.string()),
        "metrics": metrics,
        "wall_seconds": pa.array(rng.random(rows)),
        "started_at": pa.array(np.arange(rows) + task * 10_000_000, pa.timestamp("us", "UTC")),
        "trust": pa.array(["re-run"] * rows),
        "schema_version": pa.array([1] * rows, pa.int32()),
    }
    columns = [known.get(field.name, pa.nulls(rows, field.type)).cast(field.type) for field in schema()]
    return pa.Table.from_arrays(columns, schema=schema())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("HARNESS_LARGE_STORE")
    store = Store(given or tmp_path_factory.mktemp("large") / "store")
    if not store.listing().counted:
        rng = np.random.default_rng(0)
        for first in range(0, TASKS, 20):
            store.commit_table(pa.concat_tables([part(task, rng) for task in range(first, first + 20)]))
        for task in range(TASKS):
            metrics = [{"name": "accuracy", "direction": "max", "split": "test", "primary": True}]
            store.register_task({"name": f"task-{task:03d}", "package": "pkg", "version": 1, "metrics": metrics})
        start = time.perf_counter()
        print(compact(store).rows, "rows compacted in", time.perf_counter() - start)
    return store.path


def measure(store: Path, what: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(store), what], capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(done.stdout)
    print(what, result)
    return result


def test_summary_of_a_million_trials(large: Path) -> None:
    """Means, n, failures and intervals: under 1.5 s and 1.5 GB."""
    result = measure(large, "summary")
    assert result["rows"] == TASKS * METHODS
    assert result["trials"] == TRIALS
    assert result["seconds"] < 1.5
    assert result["memory"] < 1.5e9


def test_best_groups_of_a_million_trials(large: Path) -> None:
    """Best groups: under 30 s, and under 1.5 s from the cache."""
    for file in (large / "cache").glob("best-*.json"):
        file.unlink()
    first, second = measure(large, "best"), measure(large, "best")
    assert first["best"] == second["best"] > TASKS
    assert first["seconds"] < 30
    assert second["seconds"] < 1.5
    assert second["memory"] < 1.5e9
