"""What was run, and by which code."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.code.source import code_digest
from harness.errors import HarnessError
from harness.study.identity import code_id, trial_id, trial_ids

MODULE = '''
"""A module."""
from .sibling import helper
from pkg import other
import pkg.deep.inner

class A:
    """Doc."""

    x = {**{1: 2}, "k": -1.5}

    def f(self, a, *, b=None):
        """Doc."""
        from .late import late
        return f"{a!r:>{b}}" "x" f"{self.x}", a[1:], lambda: ...
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "pkg"
    (root / "deep").mkdir(parents=True)
    (root / "mod.py").write_text(MODULE)
    for name in ("__init__", "sibling", "other", "late", "unrelated", "deep/__init__", "deep/inner"):
        (root / f"{name}.py").write_text(f"value = '{name}'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return root


def digest() -> str:
    return code_digest(["pkg.mod:A"])


def write(file: Path, text: str) -> None:
    """Change a file so that its time of change differs even on a coarse clock."""
    before = file.stat().st_mtime_ns
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def test_comments_docstrings_and_layout_do_not_count(package: Path) -> None:
    before = digest()
    text = MODULE.replace('"""Doc."""', '"""Other words."""').replace(
        "    x = {", "    # why\n\n\n    x = {  # here\n        "
    )
    write(
        package / "mod.py",
        '"""Another."""\n\n' + text.replace('"""A module."""', "").replace(", b=None", ",\n b=(None)"),
    )
    assert digest() == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("-1.5", "-1.25"), ("a[1:]", "a[:1]"), ("!r", "!s"), ("class A", "class B"), ("*, b", "b"), ("...", "None")],
)
def test_code_counts(package: Path, old: str, new: str) -> None:
    before = digest()
    write(package / "mod.py", MODULE.replace(old, new))
    assert digest() != before


@pytest.mark.parametrize("name", ["sibling", "other", "late", "deep/inner"])
def test_what_is_imported_inside_the_package_counts(package: Path, name: str) -> None:
    before = digest()
    write(package / f"{name}.py", "value = 2\n")
    assert digest() != before


@pytest.mark.parametrize("name", ["unrelated", "__init__", "deep/__init__"])
def test_what_is_not_imported_does_not_count_nor_do_init_files(package: Path, name: str) -> None:
    before = digest()
    write(package / f"{name}.py", "import pkg.unrelated\nvalue = 2\n")
    assert digest() == before


def test_imports_are_followed_onwards(package: Path) -> None:
    (package / "sibling.py").write_text("from . import unrelated\n")
    before = digest()
    write(package / "unrelated.py", "value = 3\n")
    assert digest() != before


def test_a_target_in_an_init_file_is_read(package: Path) -> None:
    before = code_digest(["pkg:value"])
    write(package / "__init__.py", "value = 4\n")
    assert code_digest(["pkg:value"]) != before


def test_nothing_is_imported(package: Path) -> None:
    (package / "__init__.py").write_text("raise RuntimeError\n")
    digest()
    assert "pkg" not in sys.modules


def test_a_local_file_and_a_local_folder(tmp_path: Path, package: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 1\n")
    assert code_digest([str(file)]) == code_digest([("harness_local_mine:Loss", str(file))])
    inside = code_digest([("harness_local_pkg.mod:A", str(package))])
    write(package / "sibling.py", "value = 5\n")
    assert code_digest([("harness_local_pkg.mod:A", str(package))]) != inside


@pytest.mark.parametrize("target", ["no_such_package_here.x:Y", "pkg.missing:Y"])
def test_a_module_that_is_not_there(package: Path, target: str) -> None:
    with pytest.raises(HarnessError, match=r"no module named|cannot find the source"):
        code_digest([target])


def test_a_module_that_is_not_python(package: Path) -> None:
    write(package / "sibling.py", "def (\n")
    with pytest.raises(HarnessError, match=r"sibling\.py:1: "):
        digest()


def test_code_id_depends_on_stages_task_and_semantics(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = code_id(["pkg.sibling:A"], "pkg.other:T")
    assert base == code_id([("pkg.sibling:A", "")], ("pkg.other:T", ""))
    assert base != code_id(["pkg.other:T"], "pkg.sibling:A")
    assert base != code_id(["pkg.sibling:A", "pkg.late:B"], "pkg.other:T")
    monkeypatch.setattr("harness.training.SEMANTICS", 10**6)
    assert base != code_id(["pkg.sibling:A"], "pkg.other:T")


WHAT = {
    "task": "pkg/toy",
    "version": 1,
    "task_params": {"noise": 0.5, "kind": "é"},
    "scale": "small",
    "pipeline": [("pkg/focal", {"gamma": 2.0})],
}


def test_a_trial_id_never_changes() -> None:
    text = (
        '{"impl":"auto","pipeline":[["pkg/focal",{"gamma":2.0}]],"precision":"float32","scale":"small",'
        '"task":"pkg/toy","task_params":{"kind":"é","noise":0.5},"tune":0,"version":1}#3'
    )
    assert trial_id(3, **WHAT) == hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def test_the_order_of_parameters_does_not_count() -> None:
    assert trial_id(3, **{**WHAT, "task_params": {"kind": "é", "noise": 0.5}}) == trial_id(3, **WHAT)


def test_all_of_what_is_run_counts() -> None:
    changes = {
        "task": "other/toy",
        "version": 2,
        "task_params": {"noise": 0.5},
        "scale": "full",
        "pipeline": [("pkg/focal", {"gamma": 2.5})],
        "tune": 4,
        "impl": "triton",
        "precision": "float64",
    }
    ids = {trial_id(3, **{**WHAT, key: value}) for key, value in changes.items()}
    assert len(ids | {trial_id(3, **WHAT), trial_id(4, **WHAT)}) == len(changes) + 2
    assert len(set(trial_ids(range(100), **WHAT).values())) == 100


def test_settings_count_in_tune_rows_only() -> None:
    draw = {"lr": 0.1}
    assert trial_id(3, **WHAT, settings=draw) == trial_id(3, **WHAT)
    assert trial_id(3, **WHAT, role="tune", settings=draw) != trial_id(3, **WHAT, role="tune", settings={"lr": 0.2})


GOLDEN = (
    "import sys; sys.path[:0] = sys.argv[1:]; from harness.code.source import code_digest; "
    "print(code_digest(['pkg.mod:A']))"
)


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_python_gives_the_same_digest(package: Path, version: str) -> None:
    python = shutil.which(f"python{version}")
    if python is None or subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode:
        pytest.skip(f"no Python {version} here")
    house = str(Path(__file__).parents[2])
    done = subprocess.run(
        [python, "-c", GOLDEN, house, str(package.parent)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == digest()
