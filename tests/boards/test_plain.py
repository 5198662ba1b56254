"""The board's numbers by hand, its order, failures, cache and formats; a method against baselines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from result_rows import TASK, row

import harness.boards.plain as plain
from harness.boards.against import against
from harness.boards.plain import board
from harness.boards.render import render
from harness.cli.board import board as command
from harness.errors import HarnessError
from harness.storage.maintenance import compact
from harness.storage.store import Store

SEEDS = 8


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """good and twin are equal but for noise and beat base; fragile is best and fails once; dead always fails."""
    shared = np.linspace(-0.05, 0.05, SEEDS)
    noise = 0.01 * np.resize([1.0, -1.0, -1.0, 1.0], SEEDS)
    store = Store(tmp_path / "results")
    for name, values in (
        ("good", 0.8 + shared + noise),
        ("twin", 0.8 + shared - noise),
        ("base", 0.7 + shared + 0.5 * np.roll(noise, 1)),
        ("fragile", 0.95 + shared),
    ):
        store.commit(
            [row(seed, name, None if (name, seed) == ("fragile", 3) else values[seed]) for seed in range(SEEDS)]
        )
    store.commit([row(seed, "dead", None, status="oom") for seed in range(SEEDS)])
    store.register_task(TASK)
    return store


def test_numbers_by_hand(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.commit([row(seed, "a", value) for seed, value in enumerate([0.1, 0.2, 0.3])])
    store.commit([row(0, "b", 0.9), row(1, "b", None), row(2, "b", float("nan"))])
    store.register_task(TASK)
    a, b = board(store)
    half = 4.302652729911275 * 0.1 / np.sqrt(3)
    assert (a.pipeline, a.n, a.failed, a.best_group) == ("a", 3, 0, True)
    assert (a.mean, a.low, a.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert (b.pipeline, b.n, b.failed, b.best_group, b.mean, b.low) == ("b", 1, 2, False, 0.9, None)


@pytest.mark.parametrize("compacted", [False, True])
def test_order_failures_and_best_group(store: Store, compacted: bool) -> None:
    if compacted:
        compact(store)
    rows = {r.pipeline: r for r in board(store)}
    assert list(rows)[2:] == ["base", "fragile", "dead"]
    assert {name for name, r in rows.items() if r.best_group} == {"good", "twin"}
    assert (rows["fragile"].failed, rows["fragile"].judged, rows["dead"].failed, rows["dead"].mean) == (
        1,
        False,
        8,
        None,
    )
    assert all(r.lost == 0 for r in rows.values())


def test_lost_seeds_and_short_cells(store: Store) -> None:
    store.commit([row(seed, "short", 0.8) for seed in range(2)])
    store.commit([row(seed, "partial", 0.75 + seed / 100) for seed in range(1, SEEDS)])
    rows = {r.pipeline: r for r in board(store)}
    assert not rows["short"].judged
    assert (rows["partial"].lost, rows["good"].lost) == (0, 1)
    assert "left out up to 1 seeds" in render(list(rows.values()), "table")


def test_lower_is_better_and_points_of_a_sweep_are_ranked_apart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    metrics = [{"name": "mse", "direction": "min", "primary": True}]
    store.register_task({**TASK, "metrics": metrics})
    for name, offset in (("a", 0.0), ("b", 1.0)):
        for seed in range(3):
            entries = [{"name": "mse", "split": "", "at": {"bits": b}, "value": offset + seed + b} for b in (4, 2)]
            store.commit([row(seed, name, metrics=entries)])
    assert [(r.pipeline, r.at, r.mean) for r in board(store)] == [
        ("a", {"bits": 2.0}, 3.0), ("b", {"bits": 2.0}, 4.0), ("a", {"bits": 4.0}, 5.0), ("b", {"bits": 4.0}, 6.0),
    ]  # fmt: skip
    assert [r.mean for r in board(store, metric="mse@bits=4")] == [5.0, 6.0]


def test_only_the_newest_task_version_and_evaluation_rows_count(store: Store) -> None:
    store.register_task({**TASK, "version": 2})
    store.commit([row(0, "new", 0.5, task_version=2), row(1, "new", 0.5, task_version=2, role="tune")])
    (only,) = board(store)
    assert (only.pipeline, only.n, only.task_version) == ("new", 1, 2)


def test_tuned_and_untuned_are_different_cells(store: Store) -> None:
    store.commit([row(s, "good", 0.9, tune=16, trial_id=f"tuned-{s}") for s in range(SEEDS)])
    assert [(r.tune, r.n) for r in board(store) if r.pipeline == "good"] == [(16, SEEDS), (0, SEEDS)]
    assert "tune" in render(board(store), "table")


def test_best_groups_come_from_the_cache_until_rows_change(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = board(store)
    monkeypatch.setattr(plain, "best_group", lambda *_: pytest.fail("computed again"))
    assert board(store) == first
    compact(store)
    assert board(store) == first
    monkeypatch.undo()
    store.commit([row(0, "good", 0.1, minutes=5)])
    assert board(store) != first
    for file in (store.path / "cache").iterdir():
        file.write_text("{")
    assert {r.pipeline for r in board(store) if r.best_group} >= {"good"}


def test_formats(store: Store) -> None:
    rows = board(store)
    entry = json.loads(render(rows, "json"))[0]
    assert {"task", "variant", "pipeline", "metric", "at", "mean", "low", "high", "n", "failed", "best_group"} <= set(
        entry
    )
    assert entry["best_group"] is True
    assert render(rows, "csv").splitlines()[0].startswith("task,variant,scale,pipeline")
    assert len(render(rows, "csv").splitlines()) == 6
    markdown = render(rows, "md").splitlines()
    assert markdown[0] == "### t  small  accuracy (higher is better)"
    assert markdown[3] == "| --- | --- | --- | --- | --- | --- |"[: len(markdown[3])]
    table = render(rows, "table")
    assert table.splitlines()[2].startswith("*  ")


def test_against(store: Store) -> None:
    (verdict,) = against(store, "good")
    assert (verdict.baseline, verdict.verdict, verdict.n, verdict.lost) == ("base", "better", SEEDS, 0)
    assert "good vs base: better at 8 seeds" in str(verdict)
    (worse,) = against(store, "base", "good")
    assert (worse.verdict, worse.mean) == ("worse", pytest.approx(-(verdict.mean or 0)))
    same, fragile = sorted(against(store, "good", ["twin", "fragile"]), key=lambda v: v.failed)
    assert (same.verdict, fragile.verdict) == ("not distinguishable", "worse")
    assert (fragile.n, fragile.lost, fragile.failed) == (SEEDS - 1, 1, 1)
    assert same.detectable is not None
    with pytest.raises(HarnessError, match="no trials of absent beside"):
        against(store, "good", ["absent"])
    with pytest.raises(HarnessError, match="did you mean 'good'"):
        against(store, "goood")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--task", "tt"], "did you mean 't'"),
        (["--task", "t[noise=1]"], "unknown variant"),
        (["--metric", "acuracy"], "did you mean 'accuracy'"),
        (["--scale", "smal"], "did you mean 'small'"),
    ],
)
def test_command_errors(store: Store, arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(command, [*arguments, "--store", str(store.path)])
    assert isinstance(result.exception, HarnessError)
    assert expected in str(result.exception)
    assert "\n" not in str(result.exception)


def test_command(store: Store, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        return CliRunner().invoke(command, [*arguments, "--store", str(store.path)]).output

    assert "t  small  accuracy" in run()
    assert len(json.loads(run("--format", "json", "--task", "t[default]", "--scale", "small"))) == 5
    assert run("--metric", "nll").count("-") > 0  # no trial has it: rows without a mean
    empty = CliRunner().invoke(command, ["--store", str(tmp_path / "none")])
    assert isinstance(empty.exception, HarnessError)
    assert "harness demo" in str(empty.exception)


def test_a_task_without_a_record_is_named(store: Store) -> None:
    store.commit([row(0, "good", 0.5, task="stranger")])
    result = CliRunner().invoke(command, ["--store", str(store.path)])
    assert "no record of them: stranger" in result.output
    with pytest.raises(HarnessError, match="no record of task 'stranger'"):
        board(store, task="stranger")
