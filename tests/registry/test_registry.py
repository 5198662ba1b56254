"""Discovery and look-up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fakes import INDEX, LOSSES, METHODS, distribution, forget, run_python, toy

from harness.errors import HarnessError, UnknownName
from harness.registry.registry import Registry

Load = Callable[..., Registry]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Load]:
    """Loads the distributions in `tmp_path / "site"` only."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def loader(*plugins: str, **environ: str) -> Registry:
        names = ",".join(info.name.partition("-")[0] for info in site.glob("*.dist-info")) or "harness"
        return Registry.load(plugins, {"HARNESS_PLUGINS": names, "HARNESS_CACHE": str(tmp_path / "cache"), **environ})

    yield loader
    forget(site)


def test_a_declaration_knows_its_owner(tmp_path: Path, load: Load) -> None:
    toy(tmp_path / "site")
    found = load().method("sharp")
    assert (found.distribution, found.version, found.module) == ("acme", "1.0", "acme.plugin")
    assert (found.package, found.path, found.declaration.target) == ("acme", "", "acme.losses:Sharp")


def test_first_party_plugins_are_found_like_any_other() -> None:
    registry = Registry.load(environ={})
    assert {plugin.distribution for plugin in registry.plugins} >= {"harness"}
    assert all(plugin.seconds > 0 for plugin in registry.plugins)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def broken(:\n", "SyntaxError"),
        ("raise SystemExit(3)\n", "SystemExit: 3"),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("import no_such_module_at_all\n", "No module named 'no_such_module_at_all'"),
        (
            "from harness import hookimpl\n@hookimpl\ndef harness_methods():\n    raise ValueError('no')\n",
            "ValueError: no",
        ),
        ("from harness import hookimpl\n@hookimpl\ndef harness_methods():\n    return 'x'\n", "returned str"),
        (
            "from harness import hookimpl\n@hookimpl\ndef harness_method():\n    return []\n",
            "did you mean 'harness_methods'",
        ),
        ("from harness import hookimpl\n@hookimpl\ndef harness_tasks(wrong):\n    return []\n", "wrong"),
    ],
)
def test_a_broken_plugin_is_reported_and_hurts_no_other(tmp_path: Path, load: Load, code: str, reason: str) -> None:
    toy(tmp_path / "site")
    distribution(tmp_path / "site", "bad-one", code)
    registry = load()
    assert {found.name for found in registry.methods} == {"plain", "sharp", "loose"}
    [broken] = registry.broken
    assert (broken.distribution, broken.module) == ("bad-one", "bad_one.plugin")
    assert broken.file.endswith("bad_one/plugin.py")
    assert reason in broken.reason
    assert "\n" not in broken.reason


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("'x'", "returned a str; expected Method"),
        ("Method('Bad Name', 'term', 'loss', 'a.b:C')", "kebab-case"),
        ("Method('x', 'trem', 'loss', 'a.b:C')", "did you mean 'term'"),
        ("Method('x', 'term', 'loss', 'a.b.C')", "not an import string"),
        ("Method('x', 'term', '', 'a.b:C')", "field"),
        ("Method('x', 'term', 'loss', 3)", "neither an import string nor a class"),
        ("Method('x', 'term', 'loss', (lambda: type('C', (), {'__qualname__': 'f.<locals>.C'}))())", "top level"),
        ("Method('x', 'term', 'loss', 'a.b:C', paper=None)", "paper is None"),
    ],
)
def test_nonsense_is_reported_and_the_rest_of_the_plugin_stays(
    tmp_path: Path, load: Load, method: str, reason: str
) -> None:
    index = INDEX.format(methods=method + ", Method('fine', 'term', 'loss', 'a.b:C')", tasks="")
    distribution(tmp_path / "site", "odd", index)
    registry = load()
    assert [found.name for found in registry.methods] == ["fine"]
    [broken] = registry.broken
    assert reason in broken.reason


def test_a_class_as_target_becomes_an_import_string(tmp_path: Path, load: Load) -> None:
    index = "class Mine: ...\n" + INDEX.format(methods="Method('mine', 'term', 'loss', Mine)", tasks="")
    distribution(tmp_path / "site", "direct", index)
    assert load().method("mine").declaration.target == "direct.plugin:Mine"


def test_a_name_declared_twice_in_a_distribution_is_offered_by_neither(tmp_path: Path, load: Load) -> None:
    twice = "".join(f"Method('{name}', 'term', 'loss', 'a.b:{cls}')," for name, cls in ("aC", "aD", "bD"))
    distribution(tmp_path / "site", "twin", INDEX.format(methods=twice, tasks=""))
    registry = load()
    assert [found.name for found in registry.methods] == ["b"]
    assert "method 'a' is declared 2 times" in registry.broken[0].reason


def test_two_distributions_may_share_a_name(tmp_path: Path, load: Load) -> None:
    toy(tmp_path / "site", "acme")
    toy(tmp_path / "site", "zeta")
    registry = load()
    with pytest.raises(HarnessError, match="say acme/sharp or zeta/sharp"):
        registry.method("sharp")
    assert registry.method("zeta/sharp").distribution == "zeta"
    assert registry.method("sharp", prefer="acme").distribution == "acme"
    assert registry.address(registry.method("zeta/sharp")) == "zeta/sharp"
    assert registry.task("acme/toy").package == "acme"


def test_an_unknown_name_says_the_nearest(tmp_path: Path, load: Load) -> None:
    toy(tmp_path / "site")
    registry = load()
    with pytest.raises(UnknownName, match="unknown method 'shrap'; did you mean 'sharp'"):
        registry.method("shrap")
    with pytest.raises(UnknownName, match="unknown task 'tyo'; did you mean 'toy'"):
        registry.task("tyo")


def test_harness_plugins_limits_what_is_loaded(tmp_path: Path, load: Load) -> None:
    toy(tmp_path / "site", "acme")
    toy(tmp_path / "site", "zeta")
    assert {found.distribution for found in load(HARNESS_PLUGINS="zeta").methods} == {"zeta"}
    assert {found.distribution for found in load(HARNESS_PLUGINS="acme-entry").methods} == {"acme"}
    with pytest.raises(UnknownName, match="did you mean 'zeta'"):
        load(HARNESS_PLUGINS="zetta")


def test_trace_prints_every_hook_call(tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    index = INDEX + "\n@hookimpl\ndef harness_study_started(study, trials):\n    print('loud', study)\n"
    distribution(tmp_path / "site", "talker", index.format(methods="", tasks=""))
    registry = load(HARNESS_TRACE="1")
    registry.hooks.harness_study_started(study="s", store="x", trials=4)
    error = capsys.readouterr().err
    assert "[harness] harness_methods() -> talker-entry" in error
    assert "[harness] harness_methods = [[]]" in error
    assert "harness_study_started(study='s', store='x', trials=4)" in error


def test_what_a_plugin_prints_stays_off_stdout(tmp_path: Path, load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    distribution(tmp_path / "site", "chatty", "print('hello')\n" + INDEX.format(methods="", tasks=""))
    load()
    assert capsys.readouterr().out == ""


def test_a_reporter_that_fails_hurts_no_other(tmp_path: Path, load: Load) -> None:
    hook = "\n@hookimpl\ndef harness_trial_finished(row):\n    {body}\n"
    bad = INDEX.format(methods="", tasks="") + hook.format(body="raise ValueError('x')")
    good = INDEX.format(methods="", tasks="") + hook.format(body="row['seen'] = True")
    distribution(tmp_path / "site", "abad", bad)
    distribution(tmp_path / "site", "good", good)
    row: dict[str, object] = {}
    problems = load().notify("harness_trial_finished", row=row)
    assert row == {"seen": True}
    assert problems == ["harness_trial_finished of plugin abad-entry (abad): ValueError: x"]


def test_a_real_interrupt_ends_the_loading(tmp_path: Path, load: Load) -> None:
    code = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(5)\n"
    distribution(tmp_path / "site", "slow", code)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        load()
    assert signal.getsignal(signal.SIGINT) is handler


def test_loading_imports_nothing_heavy(tmp_path: Path) -> None:
    toy(tmp_path)
    code = """
        import json, sys
        from harness.registry.registry import Registry
        registry = Registry.load()
        heavy = {"torch", "numpy", "pandas", "pyarrow", "duckdb", "sklearn", "scipy", "rich"}
        heavy |= {"acme.losses", "acme.tasks"}
        print(json.dumps([len(registry.methods), sorted(heavy & set(sys.modules))]))
    """
    assert run_python(code, tmp_path, tmp_path / "cache") == [3, []]


LOCAL = LOSSES + "\nclass ALDRLoss(Plain):\n    field = 'loss'\n\nclass _Hidden(Plain):\n    pass\n"


def test_a_file_without_hooks_offers_its_classes(tmp_path: Path, load: Load) -> None:
    file = tmp_path / "lone_loss.py"
    file.write_text("print('noise on stdout')\n" + LOCAL)
    registry = load(str(file))
    local = {found.name: found for found in registry.methods if found.distribution == "local"}
    assert set(local) == {"plain", "sharp", "loose", "aldr-loss"}
    assert local["aldr-loss"].declaration.field == "loss"
    assert local["sharp"].declaration.field == "local"
    assert local["sharp"].declaration.target == "harness_local_lone_loss:Sharp"
    assert local["sharp"].path == str(file)
    assert "harness_local_lone_loss" not in sys.modules


def test_a_local_plugin_is_cached(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lone_loss.py"
    file.write_text(LOCAL)
    first = load(str(file)).methods
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert load(str(file)).methods == first


def test_a_folder_with_a_plugin_and_relative_imports(tmp_path: Path, load: Load) -> None:
    folder = tmp_path / "my-plugin"
    folder.mkdir()
    index = INDEX.format(methods=METHODS.replace("PKG", "my_plugin"), tasks="").replace(
        "from harness", "from .helper import VALUE\nfrom harness", 1
    )
    (folder / "plugin.py").write_text(index)
    (folder / "helper.py").write_text("VALUE = 1\n")
    (folder / "losses.py").write_text(LOSSES)
    registry = load(str(folder))
    assert registry.broken == []
    found = registry.method("local/sharp")
    assert found.declaration.target == "harness_local_my_plugin.losses:Sharp"
    assert found.module == "harness_local_my_plugin.plugin"


def test_a_module_that_can_be_imported(tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loose_module.py").write_text(LOSSES)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = load("loose_module").method("plain")
    assert (found.declaration.target, found.path, found.distribution) == ("loose_module:Plain", "", "local")
    assert "loose_module" not in sys.modules


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def (", "SyntaxError"),
        ("raise SystemExit(1)", "SystemExit"),
        ("import os; os._exit(7)", "ended the process with exit code 7"),
        ("import os; os.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
        ("x = 1", "declares nothing"),
    ],
)
def test_a_broken_local_plugin_says_why(tmp_path: Path, load: Load, code: str, reason: str) -> None:
    file = tmp_path / "bad.py"
    file.write_text(code)
    registry = load(str(file))
    [broken] = registry.broken
    assert (broken.distribution, broken.file) == ("local", str(file))
    assert reason in broken.reason
    with pytest.raises(UnknownName, match="could not be loaded"):
        registry.method("bad")


def test_a_local_plugin_that_is_not_there(tmp_path: Path, load: Load) -> None:
    with pytest.raises(HarnessError, match="neither a file, a folder, nor a module"):
        load(str(tmp_path / "none.py"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(HarnessError, match=r"expected plugin\.py or __init__\.py"):
        load(str(tmp_path / "empty"))


def test_a_local_name_that_is_installed_too_is_ambiguous(tmp_path: Path, load: Load) -> None:
    toy(tmp_path / "site")
    (tmp_path / "mine.py").write_text(LOSSES)
    registry = load(str(tmp_path / "mine.py"))
    with pytest.raises(HarnessError, match="say acme/plain or local/plain"):
        registry.method("plain")
    assert registry.method("local/plain").path == os.fspath(tmp_path / "mine.py")
