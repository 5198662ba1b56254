"""Plugins that are not installed: a single file or a folder, loaded as the module `harness_local_<stem>`.

The driver of a study only asks for names here; workers, the referee and the describe worker load.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from harness.errors import HarnessError

PREFIX = "harness_local_"
DISTRIBUTION = "local"


def stem(path: str | Path) -> str:
    """The name of a file without its suffix, or of a folder, as a Python identifier."""
    place = Path(path).resolve()
    return re.sub(r"\W", "_", place.name if place.is_dir() else place.stem)


def module_name(path: str | Path) -> str:
    """The module that a file or folder is loaded as."""
    return PREFIX + stem(path)


def index_name(path: str | Path) -> str:
    """The module with the hooks: `plugin` of a folder that has one, else the file or the package itself."""
    inside = Path(path).resolve() / "plugin.py"
    return module_name(path) + (".plugin" if inside.exists() else "")


def load_local(path: str | Path) -> ModuleType:
    """Load a file or folder and return its index module. Loading the same place twice gives the same modules, unless
    a file there has changed in between: then all are loaded anew.

    A folder is a package: its modules see each other through relative imports. A folder without `__init__.py` needs
    a `plugin.py`.

    Raises:
        HarnessError: there is no such file or folder, or another place of the same name is loaded already.
        Exception: whatever the code raises while it is imported.
    """
    place = Path(path).resolve()
    name = module_name(place)
    present = sys.modules.get(name)
    if present is not None and getattr(present, "__harness_place__", None) != str(place):
        raise HarnessError(f"two plugins would both be loaded as {name}; rename one of them ({place})")
    if present is None or getattr(present, "__harness_stamp__", None) != _stamp(place):
        _forget(name)
        _execute(_spec(name, place), name)
    index = index_name(place)
    return importlib.import_module(index)


def _spec(name: str, place: Path) -> ModuleSpec:
    if place.is_file() and place.suffix == ".py":
        spec = importlib.util.spec_from_file_location(name, place)
    elif (place / "__init__.py").is_file():
        spec = importlib.util.spec_from_file_location(
            name, place / "__init__.py", submodule_search_locations=[str(place)]
        )
    elif (place / "plugin.py").is_file():
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(place)]
    else:
        raise HarnessError(f"no plugin at {place}: expected a .py file, or a folder with __init__.py or plugin.py")
    assert spec is not None
    return spec


def _execute(spec: ModuleSpec, name: str) -> None:
    module = importlib.util.module_from_spec(spec)
    places = spec.submodule_search_locations
    module.__harness_place__ = places[0] if places else spec.origin  # type: ignore[attr-defined]
    module.__harness_stamp__ = _stamp(Path(module.__harness_place__))  # type: ignore[attr-defined]
    sys.modules[name] = module
    if spec.loader is None:
        return
    try:
        spec.loader.exec_module(module)
    except BaseException:
        _forget(name)
        raise


def _forget(name: str) -> None:
    for loaded in [key for key in sys.modules if key == name or key.startswith(name + ".")]:
        del sys.modules[loaded]


def _stamp(place: Path) -> tuple[str, ...]:
    """What changes when a file of a plugin does."""
    files = [place] if place.is_file() else sorted(place.rglob("*.py"))
    return tuple(f"{file} {file.stat().st_mtime_ns} {file.stat().st_size}" for file in files)
