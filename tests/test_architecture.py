"""Imports go down the floors only; the core knows no plugin; plugins use public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness

ROOT = Path(harness.__file__).parent
FLOORS = [
    {"errors", "streams", "part"},
    {"code", "data", "stats", "kernels"},
    {"spec"},
    {"hooks", "interfaces"},
    {"nn"},
    {"registry", "describe", "training"},
    {"study", "storage"},
    {"execution"},
    {"boards", "claims", "regression", "submission"},
    {"api", "testing"},
    {"cli", "__main__"},
]
RANK = {name: rank for rank, names in enumerate(FLOORS) for name in names}


def imports(path):
    """Modules that a file imports when it is loaded, and those that its functions import, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(dotted):
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "harness" and parts[1] in RANK else None


def core_files():
    return [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "__init__.py"]


def test_every_module_has_a_floor():
    tops = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in core_files()}
    assert tops <= set(RANK), f"add to FLOORS: {sorted(tops - set(RANK))}"


def test_imports_go_down():
    upward = []
    for path in core_files():
        own = path.relative_to(ROOT).parts[0].removesuffix(".py")
        for dotted in imports(path):
            other = floor_of(dotted)
            if other and RANK[other] > RANK[own]:
                upward.append(f"{path.relative_to(ROOT)} imports {dotted}")
    assert not upward


def test_the_core_imports_no_plugin():
    found = [f"{path}: {name}" for path in core_files() for name in imports(path) if name.startswith("harness_")]
    assert not found


PRIVATE = {"execution", "storage", "boards", "cli", "study", "training", "describe", "registry", "code"}


def test_plugins_import_public_names_only():
    """`from harness import X`, or a public module: data, nn, streams, errors."""
    private = []
    plugins = ROOT.parent / "plugins"
    for path in plugins.rglob("*.py"):
        own = path.relative_to(plugins).parts[0]
        for name in imports(path):
            top = name.split(".")[0]
            if top.startswith("harness_") and top != own:
                private.append(f"{path.name} imports another plugin: {name}")
            if top == "harness" and name.split(".")[1] in PRIVATE:
                private.append(f"{path.name} imports {name}")
    assert not private


@pytest.mark.parametrize(
    "command",
    [
        "import harness",
        "from harness import Method, Task, Metric, Paper, Claim, hookimpl",
        "from harness.cli.main import main; main(['--help'])",
        "from harness.cli.main import main; main(['list'])",
        "from harness.cli.main import main; main(['list', 'plugins', '--json'])",
    ],
)
def test_light_commands_import_nothing_heavy(command):
    script = f"""
import sys
try:
    {command}
except SystemExit as leave:
    assert not leave.code, leave.code
unwanted = ("torch", "pandas", "pyarrow", "duckdb", "sklearn", "scipy", "numpy", "rich")
heavy = [name for name in unwanted if name in sys.modules]
print("heavy:", *heavy, file=sys.stderr)
sys.exit(bool(heavy))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
