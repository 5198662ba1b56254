"""The user's cache folder: what can be computed again. A folder that cannot be written costs time, never an error."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def cache_folder(environ: Mapping[str, str] | None = None) -> Path:
    """`$HARNESS_CACHE`, or `harness` in the user's cache folder."""
    environ = os.environ if environ is None else environ
    if environ.get("HARNESS_CACHE"):
        return Path(environ["HARNESS_CACHE"])
    home = Path(environ.get("HOME") or "~").expanduser()
    default = home / "Library" / "Caches" if sys.platform == "darwin" else home / ".cache"
    return Path(environ.get("XDG_CACHE_HOME") or default) / "harness"


def data_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where data sets lie: `$HARNESS_DATA`, or `data` in the cache folder."""
    environ = os.environ if environ is None else environ
    return Path(environ.get("HARNESS_DATA") or cache_folder(environ) / "data")


def read(file: Path) -> dict[str, Any] | None:
    """A JSON object that was kept, or None where there is none or it is damaged."""
    try:
        value = json.loads(file.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def write(file: Path, value: Mapping[str, Any]) -> None:
    """Keep a JSON object: a reader sees all of it or none."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(value, stream)
            os.replace(temporary, file)
        except BaseException:
            os.unlink(temporary)
            raise
