"""Whatever a method does becomes a row, and the study goes on."""

import json
import os

import pytest

TASK = "noisy-labels-digits[noise=0.6]"


def children_of(folder):
    """Processes that work in a folder."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{entry}/cwd") == str(folder):
                found.append(int(entry))
        except OSError:
            continue
    return found


def run(command, mischief_file, harm, *options, seeds=2):
    done = command(
        *("run", "--plugin", mischief_file, "--task", TASK, "--scale", "smoke", "--seeds", seeds),
        *("--method", f"mischief[{harm}]", "--method", "cross-entropy", *options),
        check=1,
    )
    sql = "select * from trials order by pipeline, seed"
    rows = json.loads(command("sql", sql, "--format", "json", check=0).stdout)
    healthy = [row for row in rows if row["pipeline"] == "cross-entropy"]
    assert [row["status"] for row in healthy] == ["ok"] * seeds, done.stderr
    return [row for row in rows if row["pipeline"] != "cross-entropy"]


@pytest.mark.parametrize(
    ("harm", "options", "status", "error"),
    [
        ("segfault", (), "crashed", "SIGSEGV"),
        ("exit", (), "crashed", "7"),
        ("hang", ("--timeout", "3"), "timeout", "3 s"),
        ("bomb", ("--memory", "1GB"), "oom", "memory"),
        ("raise", (), "failed", "ValueError: the author's mistake"),
        ("nan", (), "diverged", "step 0"),
        ("setsid", (), "crashed", "exit code 0"),
    ],
)
def test_harm_becomes_rows(command, mischief_file, harm, options, status, error):
    rows = run(command, mischief_file, f"harm={harm}", *options)
    assert [row["status"] for row in rows] == [status] * 2
    for row in rows:
        assert error in row["error"], row["error"]
        assert row["stage"] == "run"
    if harm == "segfault":
        assert "about to read address 0" in rows[0]["log"]
        assert rows[0]["signal"] == 11
    if harm == "raise":
        assert "mischief.py" in rows[0]["traceback"]
    assert not children_of(command.folder), "a process outlived its trial"
    board = json.loads(command("board", "--format", "json", check=0).stdout)
    bad = next(row for row in board if row["pipeline"].startswith("mischief") and row["metric"] == "accuracy")
    assert (bad["n"], bad["failed"]) == (0, 2)


def test_one_bad_seed_does_not_cost_the_others(command, mischief_file):
    """The first label decides, so some seeds crash and others do not; a group that dies is run again seed by seed."""
    rows = run(command, mischief_file, "harm=exit,only_class=5", seeds=6)
    statuses = {row["status"] for row in rows}
    assert len(rows) == 6
    assert statuses == {"crashed", "ok"}


def test_failures_are_left_alone_until_retry(command, mischief_file):
    run(command, mischief_file, "harm=raise")
    options = ("--plugin", mischief_file, "--task", TASK, "--scale", "smoke", "--seeds", 2, "--json")
    options += ("--method", "mischief[harm=raise]")
    assert json.loads(command("run", *options, check=0).stdout)["failed_before"] == 2
    assert json.loads(command("run", *options, "--retry", check=1).stdout)["run"] == 2
