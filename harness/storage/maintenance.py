"""Looking after a store: compact, check, import."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import HarnessError
from harness.storage import parts, records, views
from harness.storage.files import one_line, staged
from harness.storage.schema import COLUMNS, TRUST, schema
from harness.storage.store import Store, stamp

if TYPE_CHECKING:
    import duckdb

CHUNK = 100_000
"""Rows that an import puts into one part."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: rows that count, rows kept beside them, files merged, files moved to `trials/aside`."""

    rows: int
    superseded: int
    merged: int
    aside: tuple[parts.Aside, ...]


def check(store: Store) -> list[parts.Aside]:
    """Every file that the store does not read, with the reason; reads each page of each file."""
    present = store.listing()
    found = list(present.aside)
    for part in present.counted:
        entry = parts.inspect(part.path, deep=True)
        if isinstance(entry, parts.Aside):
            found.append(entry)
    for kind in records.KINDS:
        found += [parts.Aside(path, reason) for path, reason in records.read(store.path, kind)[1]]
    return found


def compact(store: Store) -> Compaction:
    """Merge all parts into one file sorted by task, variant, pipeline and seed, with one row a trial.

    Rows that others displace are kept in a file of their own; torn and foreign files move to `trials/aside`. Writers
    may go on meanwhile. Doing it again changes nothing.

    Raises:
        HarnessError: another compaction is at work, or the folder cannot be written.
    """
    if not store.trials.is_dir():
        raise HarnessError(f"the store '{store.path}' has no trials; run something first: harness demo")
    with one_line(store.path), _alone(store.trials):
        aside = _set_aside(store)
        present = store.listing()
        confirmed = store.confirmed()
        noted = set() if present.unique is None else set(present.unique.footer.get("confirmations", ()))
        for path in present.replaced:
            path.unlink(missing_ok=True)
        before = sum(part.rows for part in present.superseded)
        if not present.loose and views.names(confirmed) <= noted:
            return Compaction(present.unique.rows if present.unique else 0, before, 0, aside)
        rows, superseded = _merge(store, present, confirmed)
        for part in present.counted:
            part.path.unlink(missing_ok=True)
        return Compaction(rows, superseded, len(present.counted), aside)


def _merge(store: Store, present: parts.Listing, confirmed: views.Confirmed) -> tuple[int, int]:
    """Write the sorted file and the file of displaced rows; the rename of the first is the switch."""
    name = stamp()
    kept, rest = store.trials / f"sorted-{name}.parquet", store.trials / f"superseded-{name}.parquet"
    footer = {
        "replaces": [part.path.name for part in present.counted],
        "superseded": [rest.name],
        "confirmations": sorted(views.names(confirmed)),
    }
    with _said(store), store.connection(present=present) as connection, staged(kept) as temporary:
        superseded = _count(connection, "_displaced")
        if superseded:
            with staged(rest) as other:
                _copy(connection, "_displaced", other, {})
        _copy(connection, "_counting", temporary, footer)
        rows = _count(connection, "_counting")
        if rows + superseded != sum(part.rows for part in present.counted):
            raise RuntimeError("a compaction would lose rows; nothing was changed")
    return rows, superseded


@contextlib.contextmanager
def _said(store: Store) -> Iterator[None]:
    """Turn what DuckDB cannot write (a full disk) into one line; the store is as it was."""
    import duckdb

    try:
        yield
    except duckdb.IOException as error:
        raise HarnessError(f"'{store.path}' cannot be compacted: {str(error).splitlines()[0]}") from None


def _copy(connection: duckdb.DuckDBPyConnection, view: str, path: Path, footer: dict[str, list[str]]) -> None:
    metadata = f", KV_METADATA {{ '{parts.FOOTER.decode()}': {views.quoted(json.dumps(footer))} }}" if footer else ""
    connection.execute(
        f"COPY (SELECT {', '.join(COLUMNS)} FROM {view} ORDER BY task, variant, pipeline, scale, seed, started_at) "
        f"TO {views.quoted(str(path))} (FORMAT parquet, COMPRESSION zstd{metadata})"
    )


def _count(connection: duckdb.DuckDBPyConnection, view: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {view}").fetchone()
    return int(row[0]) if row else 0


def _set_aside(store: Store) -> tuple[parts.Aside, ...]:
    present = store.listing()
    bad = list(present.aside)
    for part in present.loose:
        entry = parts.inspect(part.path, deep=True)
        if isinstance(entry, parts.Aside):
            bad.append(entry)
    moved = []
    for entry in bad:
        target = store.trials / "aside" / entry.path.name
        target.parent.mkdir(exist_ok=True)
        if target.exists():
            target = target.with_name(f"{target.name}.{stamp()}")
        shutil.move(entry.path, target)
        moved.append(parts.Aside(target, entry.reason))
    return tuple(moved)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """A lock that dies with its process."""
    import fcntl

    descriptor = os.open(folder / ".compact.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HarnessError(f"another compaction of '{folder.parent}' is at work; wait for its end") from None
        yield
    finally:
        os.close(descriptor)


def import_rows(store: Store, source: str | Path, trust: str = "") -> int:
    """Add the rows of another store, or of a Parquet file of rows, as new parts; rows already there are left out.

    Args:
        trust: give the rows this level instead of their own.

    Returns:
        how many rows are new.

    Raises:
        HarnessError: nothing there, or it holds no rows of trials.
    """
    source = Path(source)
    if trust and trust not in TRUST:
        raise HarnessError(f"unknown trust '{trust}'; known: {', '.join(TRUST)}")
    if not source.exists():
        raise HarnessError(f"cannot import '{source}': there is no such file or store")
    if source.is_dir():
        origin = Store(source)
        found = origin.listing().counted
        if not found:
            raise HarnessError(f"cannot import '{source}': it holds no rows of trials")
        for kind in records.KINDS:
            _copy_records(store, origin, kind)
    else:
        entry = parts.inspect(source, deep=True)
        if isinstance(entry, parts.Aside):
            raise HarnessError(f"cannot import '{source}': {entry.reason}")
        found = (entry,)
    return _add(store, found, trust)


def _add(store: Store, found: tuple[parts.Part, ...], trust: str) -> int:
    level = f"{views.quoted(trust)} AS trust" if trust else "trust AS trust"
    same = " AND ".join(f"r.{name} IS NOT DISTINCT FROM a.{name}" for name in ("code_id", "started_at", "trust"))
    added = 0
    with store.connection() as connection:
        rows = f"SELECT * REPLACE ({level}) FROM ({views.scan(found)})"
        there = views.scan(store.listing().counted)
        sql = f"SELECT r.* FROM ({rows}) r ANTI JOIN ({there}) a ON r.trial_id = a.trial_id AND {same}"
        reader = connection.sql(sql).to_arrow_reader(CHUNK)
        for batch in reader:
            if batch.num_rows:
                import pyarrow as pa

                store.commit_table(pa.Table.from_batches([batch]).cast(schema()))
                added += batch.num_rows
    return added


def _copy_records(store: Store, origin: Store, kind: str) -> None:
    bad = {path for path, _ in records.read(origin.path, kind)[1]}
    with one_line(store.path):
        for path in sorted((origin.path / kind).glob("*.json")):
            target = store.path / kind / path.name
            if path not in bad and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                with staged(target) as temporary:
                    shutil.copyfile(path, temporary)


def info(store: Store) -> dict[str, str]:
    """What a store holds, for people: a name and a text each.

    Raises:
        HarnessError: there is no store.
    """
    if not store.path.is_dir():
        raise HarnessError(f"there is no store at '{store.path}'; run something first: harness demo, or give --store")
    present = store.listing()
    with store.reading() as connection:
        counts = connection.execute("SELECT status, count(*) FROM trials GROUP BY status ORDER BY 2 DESC").fetchall()
        names = connection.execute(
            "SELECT count(DISTINCT task), count(DISTINCT (task, variant)), count(DISTINCT pipeline), "
            "count(DISTINCT study), min(started_at), max(started_at), (SELECT count(*) FROM all_rows) FROM trials"
        ).fetchone()
    assert names is not None
    size = sum(part.path.stat().st_size for part in present.counted)
    trials = sum(count for _, count in counts)
    described = {
        "trials": f"{trials} ({', '.join(f'{count} {status}' for status, count in counts)})" if counts else "0",
        "rows": f"{names[6]} ({names[6] - trials} superseded)",
        "tasks": f"{names[0]} in {names[1]} variants",
        "pipelines": str(names[2]),
        "studies": str(names[3]),
        "files": f"{len(present.counted)} ({len(present.loose)} loose, {size / 1e6:.1f} MB)",
        "not read": f"{len(present.aside)} (harness store check)" if present.aside else "0",
    }
    return {**described, "from": f"{names[4]:%Y-%m-%d}", "to": f"{names[5]:%Y-%m-%d}"} if names[4] else described
