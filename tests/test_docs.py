"""The documentation names every hook, command, interface, setting and public name, with its exact signature."""

import inspect
import re
from pathlib import Path

import pytest

import harness
from harness import hooks, spec
from harness.cli.main import COMMANDS, cli

DOCS = Path(__file__).parent.parent / "docs"
ROOT = Path(harness.__file__).parent


def page(name):
    return (DOCS / name).read_text()


HOOKS = [name for name in vars(hooks) if name.startswith("harness_")]


@pytest.mark.parametrize("name", HOOKS)
def test_hook_is_documented_with_its_signature(name):
    arguments = ", ".join(inspect.signature(getattr(hooks, name)).parameters)
    assert f"`{name}({arguments})`" in page("hooks.md")


@pytest.mark.parametrize("record", [spec.Method, spec.Task, spec.Metric, spec.Dataset, spec.Paper, spec.Claim])
def test_declaration_is_documented_with_its_fields(record):
    fields = ", ".join(record.__dataclass_fields__)
    assert f"`{record.__name__}({fields})`" in page("hooks.md")


@pytest.mark.parametrize("interface", spec.INTERFACES)
def test_interface_is_documented(interface):
    assert f"\n| {interface.replace('-', ' ')} |" in page("write-a-method.md")


@pytest.mark.parametrize("name", COMMANDS)
def test_command_is_documented_with_its_options(name):
    text = page("commands.md")
    assert f"## harness {name}\n" in text
    section = text.partition(f"## harness {name}\n")[2].partition("\n## ")[0]
    command = cli.get_command(None, name)
    for each in [command, *getattr(command, "commands", {}).values()]:
        for parameter in each.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert f"`{option}" in section, f"harness {name}: {option} is not documented"
    for sub in getattr(command, "commands", {}):
        assert f"`harness {name} {sub}" in section


def test_environment_variables_are_documented():
    used = set()
    for path in ROOT.rglob("*.py"):
        used |= set(re.findall(r"\"(HARNESS_[A-Z_]+)\"", path.read_text()))
    missing = [name for name in used if f"`{name}`" not in page("settings.md")]
    assert not missing


def test_every_page_is_in_the_navigation():
    navigation = (DOCS.parent / "mkdocs.yml").read_text()
    assert not [path.name for path in DOCS.glob("*.md") if path.name not in navigation]
