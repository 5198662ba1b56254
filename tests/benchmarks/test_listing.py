"""Figures: how long `harness --help` and `harness list` take, and digests and plans of many methods.

The figures to reach are 0.15 s for the help and 0.25 s for a list of 500 methods. The tests here measure; what they
assert is the content, as times on a shared machine say little.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import distribution

pytest.importorskip("pytest_benchmark")

COUNT = 500


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A distribution that declares 500 methods, each in a module of its own that imports a shared one."""
    root = tmp_path_factory.mktemp("many")
    index = (
        "from harness import Method, hookimpl\n\n@hookimpl\ndef harness_methods():\n"
        "    made = lambda i: Method(f'loss-{i}', 'term', 'loss', f'many.loss_{i}:Mine', summary='a loss')\n"
        f"    return [made(i) for i in range({COUNT})]\n"
    )
    body = "\n".join(
        f"    def part_{j}(self, x):\n        return (x ** {j} + self.scale * x).sum(-1) / {j + 1}" for j in range(12)
    )
    head = "from harness import Loss\n\nfrom .shared import helper\n\n\nclass Mine(Loss):\n"
    losses = {f"loss_{i}.py": f"{head}    scale = {i}\n{body}\n" for i in range(COUNT)}
    return distribution(root / "site", "many", index, {**losses, "shared.py": "def helper(x):\n    return x\n"})


def harness(arguments: list[str], path: Path | None = None) -> str:
    """Run the command in a process of its own, as a shell would."""
    environ = {**os.environ, "HARNESS_PLUGINS": ""}
    if path is not None:
        environ["PYTHONPATH"] = str(path)
    code = "import sys; from harness.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environ, capture_output=True, text=True, check=True
    ).stdout


def test_help(benchmark: Any) -> None:
    text = benchmark.pedantic(harness, args=(["--help"],), rounds=5, warmup_rounds=1)
    assert "list" in text


def test_list_of_500_methods(benchmark: Any, many: Path) -> None:
    text = benchmark.pedantic(harness, args=(["list", "methods"], many), rounds=5, warmup_rounds=1)
    assert sum(line.split()[3:4] == ["many"] for line in text.splitlines()) == COUNT


def test_code_digests_of_500_methods(benchmark: Any, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is parsed once: the first digest of a study, nothing remembered."""
    from harness.code import source

    monkeypatch.syspath_prepend(str(many))

    def digests() -> set[str]:
        source._parse.cache_clear()
        return {source.code_digest([f"many.loss_{i}:Mine"]) for i in range(COUNT)}

    assert len(benchmark.pedantic(digests, rounds=3, warmup_rounds=1)) == COUNT


def test_code_digests_of_500_methods_again(benchmark: Any, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.code import source

    monkeypatch.syspath_prepend(str(many))
    found = benchmark(lambda: {source.code_digest([f"many.loss_{i}:Mine"]) for i in range(COUNT)})
    assert len(found) == COUNT
