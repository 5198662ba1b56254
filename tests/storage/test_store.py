"""The store: what is written is read, whole or not at all; of several rows of a trial one counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from result_rows import TASK, count, row

from harness.errors import HarnessError
from harness.storage.frame import frame
from harness.storage.maintenance import check, compact, import_rows
from harness.storage.schema import COLUMNS, schema, table
from harness.storage.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def test_schema_has_each_column_once_and_takes_plain_rows() -> None:
    assert schema().names == list(COLUMNS)
    read = table([row(value=0.25, curves=[{"name": "loss", "steps": [0, 1], "values": [2, 1]}])]).to_pylist()[0]
    assert read["metrics"] == [{"name": "accuracy", "split": "test", "at": [], "value": 0.25}]
    assert read["methods"][0]["params"] == '{"g": 1}'
    assert read["task_params"] == '{"noise": 0.6}'
    assert (read["role"], read["trust"], read["schema_version"]) == ("evaluate", "re-run", 1)


@pytest.mark.parametrize(
    "bad", [{"colour": 1}, {"status": "fine"}, {"trust": "much"}, {"trial_id": None}, {"seed": "x"}]
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_written(store: Store, bad: dict[str, object]) -> None:
    with pytest.raises((ValueError, pa.ArrowException, TypeError)):
        store.commit([row(), row(1, **bad)])
    assert not store.path.exists()


def test_views(store: Store) -> None:
    swept = {"name": "mse", "split": "test", "at": {"bits": 4}, "value": 2.0}
    curve = {"name": "loss", "steps": [0, 1], "values": [2, 1]}
    store.commit([row(0, "mixup+focal", metrics=[*row()["metrics"], swept], curves=[curve]), row(1, value=None)])
    store.register_task(TASK)
    store.register_methods([{"name": "focal", "package": "pkg", "version": "1", "field": "loss", "line": 3}])
    store.register_papers([{"key": "k2020", "title": "T"}])
    store.register_environment({"environment_id": "e", "torch": "2.13"})
    both = store.table("SELECT method, field, params, failed FROM trials ORDER BY seed").to_pylist()
    assert both[0] == {
        "method": "mixup+focal",
        "field": "field-mixup+field-focal",
        "params": '{"g": 1}+{"g": 1}',
        "failed": False,
    }
    assert both[1] == {"method": "focal", "field": "field-focal", "params": '{"g": 1}', "failed": True}
    metrics = store.table('SELECT task, seed, name, "at", value, "primary" FROM metrics ORDER BY name').to_pylist()
    assert [(m["name"], m["at"], m["primary"]) for m in metrics] == [
        ("accuracy", [], True),
        ("mse", [("bits", 4.0)], False),
    ]
    assert store.table('SELECT steps, "values" FROM curves').to_pylist() == [
        {"steps": [0.0, 1.0], "values": [2.0, 1.0]}
    ]
    assert store.table("SELECT metrics[1].margin AS m, baselines FROM tasks").to_pylist() == [
        {"m": 0.01, "baselines": ["base"]}
    ]
    assert count(store, "methods") == count(store, "papers") == count(store, "environments") == 1


def test_the_latest_record_of_a_task_counts_and_repeats_write_nothing(store: Store) -> None:
    store.register_task(TASK)
    store.register_task(TASK)
    assert len(list((store.path / "tasks").iterdir())) == 1
    store.register_task({**TASK, "reference": "other"})
    assert store.table("SELECT reference FROM tasks").to_pylist() == [{"reference": "other"}]


def test_an_absent_store_reads_as_empty_and_is_not_made(store: Store) -> None:
    assert store.empty()
    assert count(store) == 0
    assert store.existing(["x"]) == {}
    assert not store.path.exists()


@pytest.mark.parametrize(
    ("rows", "winner"),
    [
        ([row(code_id="a"), row(code_id="b", minutes=1)], "b"),
        ([row(code_id="a", minutes=1), row(code_id="b")], "a"),
        ([row(code_id="a", trust="re-run"), row(code_id="b", minutes=9, trust="self-reported")], "a"),
        ([row(code_id="a", trust="re-run-elsewhere"), row(code_id="b", minutes=9)], "a"),
        ([row(code_id="a"), row(code_id="b", minutes=1, status="interrupted", metrics=[])], "a"),
        # seed 1 shows that code a is the present one: the newer row of seed 0 is stale
        ([row(code_id="a"), row(code_id="b", minutes=1), row(1, code_id="a", minutes=2)], "a"),
        # another pipeline's code does not matter
        ([row(code_id="a"), row(code_id="b", minutes=1), row(1, "other", code_id="a", minutes=2)], "b"),
    ],
)
@pytest.mark.parametrize("when", ["apart", "together", "compacted", "between"])
def test_which_row_of_a_trial_counts(store: Store, rows: list[dict[str, object]], winner: str, when: str) -> None:
    if when == "together":
        store.commit(rows)
    for part in [] if when == "together" else rows:
        store.commit([part])
        if when == "between":
            compact(store)
    if when == "compacted":
        compact(store)
    wanted = row()["trial_id"]
    found = store.table(f"SELECT code_id FROM trials WHERE trial_id = '{wanted}'").column(0).to_pylist()
    assert found == [winner]
    assert store.existing([wanted])[wanted].code_id == winner
    assert count(store, "all_rows") == len(rows)


@pytest.mark.parametrize("compacted", [False, True])
def test_a_confirmation_makes_old_rows_current(store: Store, compacted: bool) -> None:
    store.commit([row(0, code_id="a"), row(1, code_id="b", minutes=5), row(0, "other", code_id="a")])
    if compacted:
        compact(store)
    store.confirm("t", "default", "small", "focal", "a", "b")
    store.confirm("t", "default", "small", "focal", "b", "c")
    found = store.existing([row(seed, p)["trial_id"] for seed, p in ((0, "focal"), (1, "focal"), (0, "other"))])
    assert [entry.code_id for entry in found.values()].count("c") == 2
    assert found[row(0, "other")["trial_id"]].code_id == "a"
    # a newer row of code x is stale next to rows that count as the newest code
    store.commit([row(0, code_id="x", minutes=1), row(1, code_id="c", minutes=9)])
    assert store.existing([row()["trial_id"]])[row()["trial_id"]].code_id == "c"


_WRITER = """
import os, signal, sys
from harness.storage.store import Store
sys.path.insert(0, sys.argv[3])
from result_rows import row
real = os.replace
def strike(source, target):
    if sys.argv[2] == "after":
        real(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace = strike
Store(sys.argv[1]).commit([row(seed) for seed in range(20)])
"""


@pytest.mark.parametrize(("moment", "rows"), [("before", 0), ("after", 20)])
def test_kill_in_the_rename_leaves_all_or_nothing(store: Store, moment: str, rows: int) -> None:
    here = str(Path(__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", _WRITER, str(store.path), moment, here], check=False)
    assert done.returncode == -signal.SIGKILL
    assert count(store) == rows
    assert check(store) == []
    store.commit([row(seed, "other") for seed in range(3)])
    assert count(store) == rows + 3
    if moment == "before":  # an old leftover is reported and set aside
        (leftover,) = store.trials.glob(".*.tmp")
        os.utime(leftover, (time.time() - 3600,) * 2)
        assert [entry.path for entry in check(store)] == [leftover]
        assert len(compact(store).aside) == 1
        assert check(store) == []


_COMPACTOR = """
import os, signal, sys
from pathlib import Path
from harness.storage.maintenance import compact
from harness.storage.store import Store
real, unlink, calls = os.replace, Path.unlink, []
def strike(source, target):
    calls.append(target)
    if sys.argv[2] == "superseded":
        real(source, target)
        os.kill(os.getpid(), signal.SIGKILL)
    real(source, target)
def remove(path, missing_ok=False):
    unlink(path, missing_ok)
    os.kill(os.getpid(), signal.SIGKILL)
os.replace, Path.unlink = strike, remove
compact(Store(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["superseded", "removal"])
def test_a_killed_compaction_changes_nothing_that_is_read(store: Store, moment: str) -> None:
    for code in ("a", "b"):
        store.commit([row(seed, code_id=code, minutes=code == "b") for seed in range(5)])
    before = store.query("SELECT * FROM all_rows ORDER BY ALL")
    done = subprocess.run([sys.executable, "-c", _COMPACTOR, str(store.path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    again = Store(store.path)
    assert again.query("SELECT * FROM all_rows ORDER BY ALL").astype(str).equals(before.astype(str))
    assert count(again) == 5
    compact(again)
    assert again.query("SELECT * FROM all_rows ORDER BY ALL").astype(str).equals(before.astype(str))
    names = sorted(path.name.split("-")[0] for path in again.trials.glob("*.parquet"))
    assert names == ["sorted", "superseded"]


def test_many_writers_and_a_compaction_at_once(store: Store) -> None:
    def write(worker: int) -> None:
        mine = Store(store.path)
        for index in range(10):
            mine.commit([row(seed, f"p{worker}-{index}") for seed in range(4)])

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    seen = []
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if store.trials.is_dir():
            compact(store)
            seen.append(count(store))
    for thread in threads:
        thread.join()
    assert seen == sorted(seen)  # rows never vanish
    assert all(number % 4 == 0 for number in seen)  # a commit is seen whole
    compact(store)
    assert count(store) == count(store, "all_rows") == 160
    assert check(store) == []


def test_compaction_is_lossless_sorted_and_idempotent(store: Store) -> None:
    metric = {"name": "mse", "split": "test", "at": {"bits": 4}, "value": float("nan")}
    for index in (2, 0, 1):
        store.commit([row(seed, f"p{index}", metrics=[metric]) for seed in (1, 0)])
    before = store.query("SELECT * FROM trials ORDER BY trial_id")
    first = compact(store)
    assert (first.rows, first.superseded, first.merged) == (6, 0, 3)
    assert store.query("SELECT * FROM trials ORDER BY trial_id").astype(str).equals(before.astype(str))
    (file,) = store.trials.glob("*.parquet")
    content = file.read_bytes()
    assert pq.read_table(file).column("pipeline").to_pylist() == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert pq.read_schema(file).field("started_at").type == pa.timestamp("us", "UTC")
    assert compact(store).merged == 0
    assert file.read_bytes() == content


def test_torn_and_foreign_files_are_set_aside(store: Store) -> None:
    store.commit([row(seed) for seed in range(3)])
    whole = store.commit([row(seed, "other") for seed in range(3)])
    assert whole is not None
    torn = whole.with_name("part-torn.parquet")
    torn.write_bytes(whole.read_bytes()[:-100])
    (store.trials / "notes.csv").write_text("a,b\n")
    pq.write_table(pa.table({"x": [1]}), store.trials / "part-foreign.parquet")
    wrong = table([row(9)]).drop(["seed"]).append_column("seed", pa.array(["nine"]))
    pq.write_table(wrong, store.trials / "part-wrong.parquet")
    pages = bytearray(whole.read_bytes())
    (store.path / "tasks").mkdir()
    (store.path / "tasks" / "x.json").write_text("{")
    assert count(store) == 6
    assert {entry.path.name for entry in check(store)} == {
        "part-torn.parquet", "notes.csv", "part-foreign.parquet", "part-wrong.parquet", "x.json",
    }  # fmt: skip
    pages[10:200] = bytes(190)
    (store.trials / "part-pages.parquet").write_bytes(pages)
    assert "part-pages.parquet" in {entry.path.name for entry in check(store)}
    moved = compact(store)
    assert len(moved.aside) == 5
    assert len(list((store.trials / "aside").iterdir())) == 5
    assert count(store) == 6
    assert [entry.path.name for entry in check(store)] == ["x.json"]


def test_rows_of_an_older_schema_stay_readable(store: Store) -> None:
    store.commit([row(0)])
    old = table([row(1)]).select([name for name in COLUMNS if name not in ("precision", "curves", "jobs", "methods")])
    fields = [("name", pa.string()), ("params", pa.string())]
    stages = pa.array([[{"name": "focal", "params": "{}"}]], pa.list_(pa.struct(fields)))
    pq.write_table(old.append_column("methods", stages), store.trials / "part-old.parquet")
    assert check(store) == []
    read = store.table("SELECT jobs, method, field FROM trials WHERE seed = 1").to_pylist()
    assert read == [{"jobs": None, "method": "focal", "field": None}]
    compact(store)
    assert store.table("SELECT jobs, method, field FROM trials WHERE seed = 1").to_pylist() == read


def test_import_adds_what_is_new_with_its_records(store: Store, tmp_path: Path) -> None:
    store.commit([row(seed) for seed in range(4)])
    store.register_task(TASK)
    other = Store(tmp_path / "other")
    other.commit([row(9)])
    assert import_rows(other, store.path) == 4
    assert import_rows(other, store.path) == 0
    assert count(other) == 5
    assert count(other, "tasks") == 1
    (file,) = store.trials.glob("*.parquet")
    third = Store(tmp_path / "third")
    assert import_rows(third, file, trust="self-reported") == 4
    assert {entry.trust for entry in third.existing([row(s)["trial_id"] for s in range(4)]).values()} == {
        "self-reported"
    }
    (tmp_path / "x.csv").write_text("a")
    for source in (tmp_path / "x.csv", tmp_path / "absent", tmp_path):
        with pytest.raises(HarnessError, match="cannot import"):
            import_rows(other, source)
    assert count(other) == 5


def test_a_file_in_the_stores_place_and_an_unwritable_folder(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(HarnessError, match="it is a file"):
        Store(file)
    with pytest.raises(HarnessError, match="is a file"):
        Store(file / "below").commit([row()])


def test_an_unwritable_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.commit([row()])
    monkeypatch.setattr(os, "open", _refuse)  # a test may run as root, who may write anywhere
    for write in (lambda: store.commit([row(1)]), lambda: store.register_task(TASK), lambda: compact(store)):
        with pytest.raises(HarnessError, match="no permission") as caught:
            write()
        assert "\n" not in str(caught.value)
    monkeypatch.undo()
    assert count(store) == 1
    assert check(store) == []


def _refuse(path: object, *_: object) -> int:
    raise PermissionError(13, "Permission denied", str(path))


def test_frame_has_a_column_a_metric(store: Store) -> None:
    metrics = [
        {"name": "accuracy", "split": "test", "at": {}, "value": 0.5},
        {"name": "accuracy", "split": "validation", "at": {}, "value": 0.6},
        {"name": "mse", "split": "test", "at": {"bits": 4}, "value": 1.5},
        {"name": "steps", "split": "test", "at": {}, "value": 7.0},
    ]
    store.commit([row(0, metrics=metrics, steps=3), row(1, value=None)])
    read = frame(store.path)
    assert read.loc[0, ["accuracy", "validation/accuracy", "mse@bits=4", "metric/steps", "steps"]].tolist() == [
        0.5, 0.6, 1.5, 7.0, 3.0,
    ]  # fmt: skip
    assert read["accuracy"].isna().tolist() == [False, True]
    with pytest.raises(HarnessError, match="no trials"):
        frame(store.path / "nothing")


def test_existing_answers_fast_for_many(store: Store) -> None:
    rows = table([row(seed) for seed in range(2000)])
    store.commit_table(rows)
    wanted = [f"absent-{index}" for index in range(100_000)] + rows.column("trial_id").to_pylist()
    start = time.perf_counter()
    found = store.existing(wanted)
    assert len(found) == 2000
    assert found[row(5)["trial_id"]].status == "ok"
    assert time.perf_counter() - start < 5


def test_a_commit_of_twenty_rows_is_quick(store: Store) -> None:
    rows = [row(seed) for seed in range(20)]
    store.commit(rows)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        store.commit(rows)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05  # the figure is 10 ms on an idle machine


def test_records_are_plain_json(store: Store) -> None:
    store.register_task(TASK)
    (file,) = (store.path / "tasks").glob("*.json")
    assert json.loads(file.read_text())["records"][0]["name"] == "t"
