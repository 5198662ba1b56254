"""A group's way through referee, artifacts, worker and store; every fault on it is a row of its seed alone."""

import pytest

import harness


def run(path, store, fault="nothing", seeds=3, **more):
    task = f"guess-the-mean[fault={fault}]"
    return harness.run(
        tasks=[task], methods=["mean-of-table"], seeds=seeds, plugins=[path], store=store, executor="inline", **more
    )


def rows(store):
    frame = harness.results(store)
    return {row["seed"]: row for row in frame.to_dict("records")}


def test_a_group_of_trials_becomes_rows(guess_the_mean, tmp_path, builds):
    summary = run(guess_the_mean, tmp_path / "store")
    assert (summary.statuses, summary.exit_code) == ({"ok": 3}, 0)
    found = rows(tmp_path / "store")
    assert sorted(found) == [0, 1, 2]
    assert len({row["spread"] for row in found.values()}) == 1
    assert {"by-half@half=0", "by-half@half=1"} <= set(found[0])
    assert builds() == 3


@pytest.mark.parametrize(
    ("fault", "stage", "error"),
    [
        ("prepare", "prepare", "ValueError: the data are gone"),
        ("artifact", "artifact", "artifact table: RuntimeError: no table today"),
        ("text", "run", "'value' is an array of <U1; outputs are arrays of numbers or booleans"),
        ("score", "score", "KeyError"),
        ("nan", "score", "mean-error is nan"),
        ("name", "score", "unknown metric 'mean-eror'; did you mean 'mean-error'?"),
    ],
)
def test_a_fault_is_the_row_of_its_seed(guess_the_mean, tmp_path, fault, stage, error):
    summary = run(guess_the_mean, tmp_path / "store", fault)
    assert (summary.statuses, summary.exit_code) == ({"ok": 2, "failed": 1}, 1)
    with harness_connection(tmp_path / "store") as connection:
        found = connection.execute("select seed, status, stage, error from trials order by seed").fetchall()
    assert [row[1] for row in found] == ["ok", "failed", "ok"]
    assert found[1][2] == stage
    assert error in found[1][3]


def harness_connection(store):
    from harness.storage.store import Store

    return Store(store).connection()


def test_a_builder_that_dies_costs_its_own_seed_only(guess_the_mean, tmp_path):
    summary = harness.run(
        tasks=["guess-the-mean[fault=artifact-exit]"],
        methods=["mean-of-table"],
        seeds=3,
        plugins=[guess_the_mean],
        store=tmp_path / "store",
        jobs=1,
    )
    assert summary.statuses == {"ok": 2, "failed": 1}
    with harness_connection(tmp_path / "store") as connection:
        found = connection.execute("select seed, stage, error from trials where status = 'failed'").fetchall()
    assert found[0][:2] == (1, "artifact")
    assert "exit code 9" in found[0][2]


def test_a_group_score_that_fails_is_everybodys(guess_the_mean, tmp_path):
    assert run(guess_the_mean, tmp_path / "store", "group").statuses == {"failed": 3}


def test_an_artifact_is_built_once_for_all_who_use_it(guess_the_mean, tmp_path, builds):
    store = tmp_path / "store"
    run(guess_the_mean, store)
    summary = harness.run(
        tasks=["guess-the-mean"],
        methods=["mean-of-table[shift=0.5]"],
        seeds=4,
        plugins=[guess_the_mean],
        store=store,
        executor="inline",
    )
    assert summary.statuses == {"ok": 4}
    assert builds() == 4
    assert all(seconds > 0 for seconds in harness.results(store)["artifact_seconds"])


def test_what_is_stored_is_not_run_again(guess_the_mean, tmp_path):
    store = tmp_path / "store"
    run(guess_the_mean, store, "score")
    assert run(guess_the_mean, store, "score").statuses == {}
    assert run(guess_the_mean, store, "score", retry=True).statuses == {"failed": 1}
    assert run(guess_the_mean, store, "score", force=True).statuses == {"ok": 2, "failed": 1}
    assert run(guess_the_mean, store, "score", seeds=4).statuses == {"ok": 1}


def test_changed_code_makes_rows_stale(guess_the_mean, tmp_path):
    store = tmp_path / "store"
    run(guess_the_mean, store)
    code = guess_the_mean.read_text()
    guess_the_mean.write_text(code.replace("# ", "#  ").replace('"""Predict a number.', '"""Predict one number.'))
    assert run(guess_the_mean, store).todo.stale == 0
    guess_the_mean.write_text(code.replace("error.mean()", "2 * error.mean()"))
    left = run(guess_the_mean, store)
    assert (left.statuses, left.todo.stale) == ({}, 3)
    before = rows(store)
    assert run(guess_the_mean, store, stale=True).statuses == {"ok": 3}
    after = rows(store)
    assert all(after[seed]["mean-error"] == 2 * before[seed]["mean-error"] for seed in before)


def test_events_reach_a_plugin_and_its_faults_do_no_harm(guess_the_mean, tmp_path):
    from harness.execution.driver import executor_named, run_plan
    from harness.execution.progress import Progress
    from harness.registry.registry import Registry
    from harness.storage.store import Store
    from harness.study.planner import Study, plan

    class Reporter:
        def __init__(self):
            self.heard = []

        def harness_study_started(self, study, store, trials):
            self.heard.append(("started", trials))

        def harness_trial_finished(self, row):
            self.heard.append(("trial", row["seed"], row["status"]))
            raise OSError("the reporter's server is down")

        def harness_study_finished(self, study, store, statuses):
            self.heard.append(("finished", statuses))

    study = Study.make(tasks=["guess-the-mean"], methods=["mean-of-table"], seeds=2, executor="inline")
    registry = Registry.load([str(guess_the_mean)])
    reporter = Reporter()
    run_plan(plan(study, registry), Store(tmp_path / "s"), executor_named("inline", 1), Progress(), events=reporter)
    assert reporter.heard == [("started", 2), ("trial", 0, "ok"), ("trial", 1, "ok"), ("finished", {"ok": 2})]
