"""`harness store`, `sql` and `export`: answers, and errors in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from result_rows import TASK, row

from harness.cli.export import export
from harness.cli.sql import sql
from harness.cli.store import store as store_group
from harness.errors import HarnessError
from harness.storage.store import Store


@pytest.fixture
def path(tmp_path: Path) -> str:
    store = Store(tmp_path / "results")
    swept = {"name": "mse", "split": "test", "at": {"bits": 4}, "value": 2.0}
    store.commit([row(seed, metrics=[*row(value=0.1 * seed)["metrics"], swept]) for seed in range(3)])
    store.commit([row(3, value=None)])
    store.register_task(TASK)
    return str(store.path)


def call(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))  # type: ignore[arg-type]


def message(result: Result) -> str:
    """The one line that the command line would print; its exit code is 2."""
    assert isinstance(result.exception, HarnessError)
    assert result.exception.exit_code == 2
    text = str(result.exception)
    assert "\n" not in text
    return text


def test_sql_formats(path: str) -> None:
    query = "SELECT seed, status FROM trials ORDER BY seed"
    assert json.loads(call(sql, query, "--format", "json", "--store", path).output)[3] == {
        "seed": 3,
        "status": "failed",
    }
    assert call(sql, query, "--format", "csv", "--store", path).output.splitlines()[:2] == ["seed,status", "0,ok"]
    assert call(sql, query, "--store", path).output.splitlines()[:2] == ["seed  status", "0     ok"]
    at = call(sql, "SELECT \"at\" FROM metrics WHERE name = 'mse' LIMIT 1", "--format", "json", "--store", path)
    assert json.loads(at.output) == [{"at": {"bits": 4.0}}]
    assert call(sql, "SELECT 1 AS one WHERE false", "--store", path).output == "one\n"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELEC 1", "views: trials"),
        ("SELECT * FROM trails", "views: trials"),
        ("SELECT nonsense FROM trials", "nonsense"),
        ("CREATE TABLE t (a INTEGER)", "CREATE is not allowed"),
        ("COPY trials TO 'x.csv'", "COPY is not allowed"),
        ("SELECT 1; SELECT 2", "give one query"),
        ("SELECT * FROM read_csv('/etc/passwd')", "views: trials"),
    ],
)
def test_sql_errors_are_one_line(path: str, query: str, expected: str) -> None:
    assert expected in message(call(sql, query, "--store", path))


def test_sql_without_a_store(tmp_path: Path) -> None:
    assert "there is no store" in message(call(sql, "SELECT 1", "--store", str(tmp_path / "none")))


def test_store_commands(path: str, tmp_path: Path) -> None:
    assert "4 (3 ok, 1 failed)" in call(store_group, "info", "--store", path).output
    assert call(store_group, "check", "--store", path).output == "every file is sound\n"
    (Path(path) / "trials" / "x.csv").write_text("a")
    checked = CliRunner().invoke(store_group, ["check", "--store", path], standalone_mode=False)
    assert checked.return_value == 1
    assert "x.csv: not a Parquet file" in checked.output
    assert "4 trials, 0 superseded rows kept, 2 files merged" in call(store_group, "compact", "--store", path).output
    other = str(tmp_path / "other")
    assert "4 new rows" in call(store_group, "import", path, "--store", other).output
    assert "unknown trust" in message(call(store_group, "import", path, "--trust", "much", "--store", other))
    for command in ("info", "check", "compact"):
        message(call(store_group, command, "--store", str(tmp_path / "none")))


def test_export(path: str, tmp_path: Path) -> None:
    for form in ("csv", "json", "parquet"):
        out = tmp_path / f"out.{form}"
        result = call(export, "--format", form, "--out", str(out), "--store", path)
        assert result.output == f"4 trials -> {out}\n"
    assert pd.read_csv(tmp_path / "out.csv")["mse@bits=4"].tolist()[:3] == [2.0] * 3
    assert json.loads(pd.read_csv(tmp_path / "out.csv")["metrics"][0])[1]["at"] == {"bits": 4.0}
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 4
    assert json.loads((tmp_path / "out.json").read_text().splitlines()[0])["task"] == "t"
    for out, text in ((tmp_path / "no" / "x.csv", "no folder"), (tmp_path, "a folder")):
        assert text in message(call(export, "--out", str(out), "--store", path))
    assert "no trials" in message(call(export, "--out", str(tmp_path / "y.csv"), "--store", str(tmp_path / "none")))
    assert not list(tmp_path.glob(".*tmp"))
