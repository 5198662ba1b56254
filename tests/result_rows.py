"""Rows for the tests of stores and boards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from harness.storage.store import Store

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def row(
    seed: int = 0, pipeline: str = "focal", value: float | None = 0.5, minutes: float = 0, **other: Any
) -> dict[str, Any]:
    """A finished trial, or a failed one where there is no value."""
    metrics = [] if value is None else [{"name": "accuracy", "split": "test", "at": {}, "value": value}]
    stages = pipeline.split("+")
    plain = {
        "trial_id": f"{other.get('task', 't')}/{other.get('variant', 'default')}/{pipeline}/{seed}",
        "code_id": "code-1",
        "study": "s",
        "task": "t",
        "task_package": "pkg",
        "task_version": 1,
        "variant": "default",
        "task_params": {"noise": 0.6},
        "scale": "small",
        "pipeline": pipeline,
        "methods": [{"name": name, "package": "pkg", "field": f"field-{name}", "params": {"g": 1}} for name in stages],
        "seed": seed,
        "status": "failed" if value is None else "ok",
        "metrics": metrics,
        "started_at": NOON + timedelta(minutes=minutes),
    }
    return {**plain, **other}


TASK = {
    "name": "t",
    "package": "pkg",
    "version": 1,
    "offers": "recipe",
    "takes": "predictor",
    "metrics": [
        {"name": "accuracy", "direction": "max", "split": "test", "primary": True, "margin": 0.01},
        {"name": "nll", "direction": "min", "split": "test", "unit": "nats"},
    ],
    "baselines": ["base"],
    "reference": "base",
    "budget": {"small": {"steps": 10}},
}


def count(store: Store, view: str = "trials") -> int:
    """How many rows a view has."""
    return int(store.table(f"SELECT count(*) FROM {view}").column(0)[0].as_py())
