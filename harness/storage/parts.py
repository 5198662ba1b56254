"""The Parquet files in a store's `trials` folder: which ones count, which ones are torn or foreign.

- `part-*.parquet`: loose rows, one file a commit.
- `sorted-*.parquet`: the result of a compaction. One row a trial. Its footer names the files that it replaces, so the
  rename that puts it in place is the whole switch: a reader ignores the replaced files from then on.
- `superseded-*.parquet`: rows that others displaced, kept; it counts once a sorted file names it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.storage.files import TEMPORARY
from harness.storage.schema import REQUIRED, schema

if TYPE_CHECKING:
    import pyarrow as pa

FOOTER = b"harness.compaction"
STALE_SECONDS = 600.0
"""A temporary file that nobody has written to for this long is a leftover of a killed writer."""


@dataclass(frozen=True)
class Part:
    """A readable file of rows.

    Attributes:
        columns: the columns of ours that it has.
        types: their types, to tell files of an older schema apart.
        footer: {} but for a sorted file: `replaces`, `superseded` and `confirmations`, lists of file names.
    """

    path: Path
    rows: int
    columns: tuple[str, ...]
    types: str
    footer: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Aside:
    """A file that is not read, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Listing:
    """What the `trials` folder holds.

    Attributes:
        unique: the sorted file, whose rows are known to be one a trial, or None.
        loose: rows that may repeat a trial.
        superseded: rows that lost at the last compaction.
        replaced: files that a sorted file stands for; a compaction was killed before it removed them.
        aside: torn and foreign files.
    """

    unique: Part | None
    loose: tuple[Part, ...]
    superseded: tuple[Part, ...]
    replaced: tuple[Path, ...]
    aside: tuple[Aside, ...]

    @cached_property
    def counted(self) -> tuple[Part, ...]:
        """All files whose rows exist, in the order of their names."""
        first = () if self.unique is None else (self.unique,)
        return (*first, *self.loose, *self.superseded)


def listing(folder: Path, known: dict[tuple[str, int, int], Part | Aside], now: float) -> Listing:
    """Look at the folder.

    Args:
        known: what earlier calls found, by name, size and time; files are never changed, so nothing is read twice.
        now: the time in seconds, to tell a leftover from a file being written.
    """
    if not folder.is_dir():
        return Listing(None, (), (), (), ())
    while True:
        names = set(os.listdir(folder))
        with contextlib.suppress(FileNotFoundError):
            result = _look(folder, sorted(names), known, now)
            after = set(os.listdir(folder))
            if not any(_visible(name) for name in names - after) and not any(
                _compacted(name) for name in after - names
            ):
                return result
        # A compaction has just put its file in place and is removing what it replaces: look again.


def _visible(name: str) -> bool:
    return not name.startswith(".")


def _compacted(name: str) -> bool:
    return name.startswith("sorted-")


def _look(folder: Path, names: list[str], known: dict[tuple[str, int, int], Part | Aside], now: float) -> Listing:
    found: dict[str, Part] = {}
    aside: list[Aside] = []
    for path in map(folder.joinpath, names):
        hidden = not _visible(path.name)
        try:
            status = path.stat()
        except FileNotFoundError:
            if hidden:
                continue
            raise
        if path.is_dir():
            continue
        if hidden:
            if path.name.endswith(TEMPORARY) and now - status.st_mtime > STALE_SECONDS:
                aside.append(Aside(path, "left by a writer that was killed"))
            continue
        key = (path.name, status.st_size, status.st_mtime_ns)
        if key not in known:
            known[key] = inspect(path)
        entry = known[key]
        if isinstance(entry, Part):
            found[path.name] = entry
        else:
            aside.append(entry)
    return _sort_out(found, aside)


def _sort_out(found: Mapping[str, Part], aside: list[Aside]) -> Listing:
    replaced = {name for part in found.values() for name in part.footer.get("replaces", ())}
    live = [part for name, part in found.items() if name not in replaced]
    compacted = [part for part in live if part.footer]
    unique = compacted[-1] if compacted else None
    named = {name for part in compacted for name in part.footer.get("superseded", ())}
    superseded = [part for part in live if part.path.name in named]
    pending = [part for part in live if part.path.name.startswith("superseded-") and part.path.name not in named]
    rest = [part for part in live if part is not unique and part not in superseded and part not in pending]
    gone = [found[name].path for name in sorted(replaced) if name in found] + [part.path for part in pending]
    return Listing(unique, tuple(rest), tuple(superseded), tuple(gone), tuple(aside))


def inspect(path: Path, deep: bool = False) -> Part | Aside:
    """Is this file rows of trials? `deep` reads every page, not just the footer."""
    if path.suffix != ".parquet":
        return Aside(path, "not a Parquet file")
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            have, rows = file.schema_arrow, file.metadata.num_rows
            metadata = file.metadata.metadata or {}
            if deep:
                for group in range(file.num_row_groups):
                    file.read_row_group(group)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        return Aside(path, f"torn or not Parquet: {str(error).splitlines()[0][:120]}")
    reason = _foreign(have)
    if reason:
        return Aside(path, reason)
    columns = tuple(name for name in schema().names if name in have.names)
    types = "; ".join(f"{name} {have.field(name).type}" for name in columns)
    return Part(path, rows, columns, types, json.loads(metadata.get(FOOTER, b"{}")))


def _foreign(have: pa.Schema) -> str:
    missing = [name for name in REQUIRED if name not in have.names]
    if missing:
        return f"no rows of trials: it lacks {', '.join(missing)}"
    for want in schema():
        if want.name in have.names and not _fits(have.field(want.name).type, want.type):
            return f"no rows of trials: column {want.name} is {have.field(want.name).type}, not {want.type}"
    return ""


def _fits(have: Any, want: Any) -> bool:
    """Whether values of one arrow type can be read as another without loss."""
    from pyarrow import types

    if have.equals(want) or types.is_null(have):
        return True
    if types.is_dictionary(have):
        return _fits(have.value_type, want)
    for alike in (types.is_integer, types.is_timestamp):
        if alike(want):
            return bool(alike(have))
    if types.is_floating(want):
        return bool(types.is_floating(have) or types.is_integer(have))
    if types.is_string(want):
        return bool(types.is_string(have) or types.is_large_string(have) or types.is_string_view(have))
    if types.is_map(want):
        return (
            bool(types.is_map(have)) and _fits(have.key_type, want.key_type) and _fits(have.item_type, want.item_type)
        )
    if types.is_list(want):
        return bool(types.is_list(have) or types.is_large_list(have)) and _fits(have.value_type, want.value_type)
    if types.is_struct(want):
        if not types.is_struct(have):
            return False
        names = {have.field(i).name: have.field(i).type for i in range(have.num_fields)}
        fields = [want.field(i) for i in range(want.num_fields)]
        return "name" in names and all(_fits(names[f.name], f.type) for f in fields if f.name in names)
    return False
