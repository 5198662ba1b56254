"""Digests of source code: what a module says and what it imports inside its own top-level package.

Nothing is imported, only parsed. Comments, docstrings and layout do not count, and the digest is the same under
every supported Python. `__init__` files are not followed (they would tie every module of a package to every other),
except where a target lives in one.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from harness.code.local import PREFIX, module_name
from harness.errors import HarnessError


@dataclass(frozen=True)
class _Parsed:
    """A file's digest, and its imports: (level, module, names)."""

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class _Package:
    """Where a top-level package lies: folders for a package, a file for a single module."""

    name: str
    folders: tuple[str, ...] = ()
    file: str = ""

    def find(self, module: str) -> tuple[str, bool] | None:
        """(file, is it an `__init__`) of a module inside this package, or None."""
        if self.file:
            return (self.file, False) if module == self.name else None
        rest = module.split(".")[1:]
        for folder in self.folders:
            base = os.path.join(folder, *rest)
            if rest and os.path.isfile(base + ".py"):
                return base + ".py", False
            if os.path.isfile(os.path.join(base, "__init__.py")):
                return os.path.join(base, "__init__.py"), True
        return None


def code_digest(targets: Sequence[str | tuple[str, str]]) -> str:
    """32 hexadecimal digits that change when the code behind the targets changes.

    Args:
        targets: "package.module:Name", the path of a local file or folder, or (target, path) for a target inside a
            local file or folder.

    Raises:
        HarnessError: a module has no source that can be found or parsed.
    """
    files: dict[str, str] = {}
    for target in targets:
        package, module = _locate(target)
        _collect(package, module, files)
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(files.items()))
    return blake2b(text.encode(), digest_size=16).hexdigest()


def source_file(target: str, path: str = "") -> str:
    """The file of a target's module, found without importing it; "" where there is none."""
    package, module = _locate((target, path) if path else target)
    found = package.find(module)
    return found[0] if found else ""


def locate(module: str) -> str:
    """The file of an installed module, found without importing it; "" where there is none."""
    package = _installed(module.partition(".")[0], tuple(sys.path))
    found = package.find(module) if package else None
    return found[0] if found else ""


def _locate(target: str | tuple[str, str]) -> tuple[_Package, str]:
    name, path = target if isinstance(target, tuple) else (target, "")
    if not path and (name.endswith(".py") or os.sep in name or os.path.isdir(name)):
        place = Path(name).resolve()
        inside = (place / "plugin.py").exists()
        name, path = module_name(place) + (".plugin" if inside else ""), str(place)
    module = name.partition(":")[0]
    top = module.partition(".")[0]
    if path and top.startswith(PREFIX):
        place = Path(path).resolve()
        return (_Package(top, (str(place),)) if place.is_dir() else _Package(top, file=str(place))), module
    package = _installed(top, tuple(sys.path))
    if package is None:
        raise HarnessError(f"no module named '{top}' (target {name})")
    return package, module


@lru_cache(maxsize=4096)
def _installed(top: str, _path: tuple[str, ...]) -> _Package | None:
    """Find a top-level package without executing it."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        return _Package(top, tuple(spec.submodule_search_locations))
    return _Package(top, file=spec.origin or "")


def _collect(package: _Package, module: str, files: dict[str, str]) -> None:
    """Add the digests of a module and of everything that it reaches inside its package."""
    if package.find(module) is None:
        raise HarnessError(f"cannot find the source of module '{module}'")
    waiting = [module]
    while waiting:
        name = waiting.pop()
        found = package.find(name)
        if name in files or found is None or (found[1] and name != module):
            continue
        parsed = parse(found[0])
        files[name] = parsed.digest
        home = name if found[1] else name.rpartition(".")[0]
        for level, base, names in parsed.imports:
            waiting += _reached(package, home, level, base, names)


def _reached(package: _Package, home: str, level: int, base: str, names: tuple[str, ...]) -> list[str]:
    """Modules of the package that one import statement in a module of the package `home` may load."""
    if level:
        parents = home.split(".")
        if level > len(parents):
            return []
        base = ".".join([*parents[: len(parents) - level + 1], *([base] if base else [])])
    if base.partition(".")[0] != package.name:
        return []
    return [base, *(f"{base}.{name}" for name in names)]


def parse(file: str) -> _Parsed:
    """Digest and imports of one file, remembered until it changes.

    Raises:
        HarnessError: it cannot be read, or is not Python.
    """
    try:
        stat = os.stat(file)
        return _parse(file, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise HarnessError(f"cannot read {file}: {error.strerror}") from error


@lru_cache(maxsize=16384)
def _parse(file: str, _mtime_ns: int, _size: int) -> _Parsed:
    with open(file, "rb") as stream:
        text = stream.read()
    try:
        tree = ast.parse(text, file)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise HarnessError(f"{file}{f':{line}' if line else ''}: {getattr(error, 'msg', error)}") from error
    pieces: list[str] = []
    imports: list[tuple[int, str, tuple[str, ...]]] = []
    _write(tree, pieces, imports)
    return _Parsed(
        blake2b("".join(pieces).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest(), tuple(imports)
    )


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_UNSEEN = {"ctx", "kind", "type_comment", "type_ignores"}


def _write(node: ast.AST, pieces: list[str], imports: list[tuple[int, str, tuple[str, ...]]]) -> None:
    """Write a tree as text. Fields that are absent or empty are left out: later Pythons add such fields."""
    kind = type(node)
    if kind is ast.Constant:
        value = node.value  # type: ignore[attr-defined]
        pieces.append(f"{type(value).__name__}:{value!a};")
        return
    if kind is ast.Name:
        pieces.append(f"Name:{node.id};")  # type: ignore[attr-defined]
        return
    if kind is ast.Import:
        imports.extend((0, alias.name, ()) for alias in node.names)  # type: ignore[attr-defined]
    elif kind is ast.ImportFrom:
        imports.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))  # type: ignore[attr-defined]
    pieces.append(kind.__name__ + "(")
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or name in _UNSEEN or (isinstance(value, list) and not value):
            continue
        if name == "body" and isinstance(node, _DOCUMENTED):
            value = _undocumented(value)
        elif name == "values" and isinstance(node, ast.JoinedStr):
            value = _merged(value)
        pieces.append(name + "=")
        _write_value(value, pieces, imports)
    pieces.append(")")


def _write_value(value: Any, pieces: list[str], imports: list[tuple[int, str, tuple[str, ...]]]) -> None:
    if isinstance(value, ast.AST):
        _write(value, pieces, imports)
    elif isinstance(value, list):
        pieces.append("[")
        for item in value:
            _write_value(item, pieces, imports)
        pieces.append("]")
    else:
        pieces.append(f"{value!a};")


def _undocumented(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def _merged(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring texts joined and empty ones dropped; Pythons cut them differently."""
    merged: list[ast.expr] = []
    for value in values:
        last = merged[-1] if merged else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if not value.value:
                continue
            if isinstance(last, ast.Constant) and isinstance(last.value, str):
                merged[-1] = ast.Constant(last.value + value.value)
                continue
        merged.append(value)
    return merged
