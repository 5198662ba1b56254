"""The flow of a user: a study of one's own, interrupted, continued, and looked at."""

import json
import os
import signal
import subprocess
import sys
import time

TASK = "noisy-labels-digits[noise=0.6]"


def rows(command, sql, **more):
    done = command("sql", sql, "--format", "json", check=0, **more)
    return json.loads(done.stdout)


def test_a_local_and_an_installed_loss_are_both_on_the_board(command, loss_file, loss_distribution):
    command(
        *("run", "--task", TASK, "--method", "poly-loss", "--method", "installed-poly[epsilon=0.5]"),
        *("--method", "cross-entropy", "--plugin", loss_file, "--seeds", 3, "--scale", "smoke"),
        site=loss_distribution,
        check=0,
    )
    board = json.loads(command("board", "--format", "json", check=0).stdout)
    primary = [row for row in board if row["metric"] == "accuracy"]
    assert {row["pipeline"] for row in primary} == {"poly-loss", "installed-poly[epsilon=0.5]", "cross-entropy"}
    assert all(row["n"] == 3 and row["failed"] == 0 and row["low"] < row["mean"] < row["high"] for row in primary)
    assert any(row["best_group"] for row in primary)
    trial = rows(command, "select * from trials where method = 'installed-poly' limit 1")[0]
    assert trial["methods"][0]["distribution"] == "poly-losses"
    assert trial["methods"][0]["version"] == "1.2"
    assert json.loads(trial["params"]) == {"epsilon": 0.5}
    local = rows(command, "select methods from trials where method = 'poly-loss' limit 1")[0]
    assert local["methods"][0]["distribution"] == "local"


def test_resume_runs_what_is_missing(command):
    options = ("--task", TASK, "--method", "cross-entropy", "--scale", "smoke", "--json")
    first = json.loads(command("run", *options, "--seeds", 2, check=0).stdout)
    again = json.loads(command("run", *options, "--seeds", 2, check=0).stdout)
    more = json.loads(command("run", *options, "--seeds", 4, check=0).stdout)
    assert (first["run"], again["run"], more["run"]) == (2, 0, 2)
    assert more["current"] == 2
    assert rows(command, "select count(*) as n, count(distinct trial_id) as ids from all_rows") == [{"n": 4, "ids": 4}]


def test_rows_do_not_depend_on_companions_or_executor(command):
    """A seed gives the same numbers alone, in a group, and inline."""
    options = ("--task", TASK, "--method", "gce", "--method", "cross-entropy", "--scale", "smoke")
    command("run", *options, "--seeds", 3, "--store", "group", check=0)
    command("run", *options, "--seeds", 1, "--store", "alone", check=0)
    command("run", *options, "--seeds", 2, "--executor", "inline", "--store", "inline", check=0)
    sql = "select pipeline, seed, name, value from metrics where seed = 0 order by all"
    group, alone, inline = (
        json.loads(command("sql", sql, "--format", "json", "--store", store, check=0).stdout)
        for store in ("group", "alone", "inline")
    )
    assert group == alone == inline
    assert len(group) > 2


def test_killed_in_the_middle_and_run_again(command):
    """kill -9 of the driver at a moment when some groups are stored and others run: nothing torn, nothing twice."""
    options = ["--task", TASK, "--task", "longtail-digits", "--seeds", "4", "--scale", "smoke"]
    for method in ("cross-entropy", "focal", "gce", "mae", "label-smoothing"):
        options += ["--method", method]
    driver = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *options],
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HARNESS_TEST_MARK": str(command.folder)},
    )
    parts = command.folder / "results" / "trials"
    deadline = time.monotonic() + 120
    while not (parts.exists() and list(parts.glob("part-*.parquet"))):
        assert driver.poll() is None, driver.stdout.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not marked(str(command.folder)))
    done = json.loads(command("run", *options, "--json", check=0).stdout)
    assert 0 < done["run"] < 40
    assert done["run"] + done["current"] == 40
    assert rows(command, "select count(*) as n from trials where status = 'ok'") == [{"n": 40}]
    assert command("store", "check", check=0)


def marked(mark):
    """Processes that inherited the mark in their environment."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if f"HARNESS_TEST_MARK={mark}".encode() in file.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found


def wait_until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.05)


def test_ctrl_c_keeps_what_is_finished(command):
    options = ["--task", "longtail-digits", "--seeds", "6", "--scale", "smoke", "--jobs", "1"]
    for method in ("cross-entropy", "focal", "gce", "mae", "label-smoothing"):
        options += ["--method", method]
    driver = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *options],
        cwd=command.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    parts = command.folder / "results" / "trials"
    wait_until(lambda: driver.poll() is not None or (parts.exists() and list(parts.glob("part-*.parquet"))), 120)
    driver.send_signal(signal.SIGINT)
    _, errors = driver.communicate(timeout=60)
    assert driver.returncode == 3, errors
    assert "Traceback" not in errors
    kept = rows(command, "select count(*) as n, count(*) filter (status = 'ok') as ok from trials")[0]
    assert 0 < kept["n"] < 30
    assert kept["n"] == kept["ok"]
