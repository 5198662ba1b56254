"""Trials of a store as one file that other tools read."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.storage.files import staged
from harness.storage.store import Store

FORMATS = ("csv", "json", "parquet")


def export(store: Store, form: str, out: str | Path) -> int:
    """Write the trials, one row each, to a file that appears whole or not at all.

    csv has a column a metric (`harness.storage.frame`), nested columns as JSON; json (one object a line) and parquet
    keep the nesting.

    Returns:
        how many trials.

    Raises:
        HarnessError: no trials, an unknown format, or a file that cannot be written.
    """
    if form not in FORMATS:
        raise HarnessError(f"unknown format '{form}'; known: {', '.join(FORMATS)}")
    if store.empty():
        raise HarnessError(f"the store '{store.path}' has no trials; run some first: harness demo --store {store.path}")
    out = Path(out)
    if not out.parent.is_dir() or out.is_dir():
        what = "it is a folder" if out.is_dir() else f"there is no folder '{out.parent}'"
        raise HarnessError(f"cannot write '{out}': {what}")
    try:
        with staged(out) as temporary:
            return _csv(store, temporary) if form == "csv" else _copy(store, form, temporary)
    except OSError as error:
        raise HarnessError(f"cannot write '{out}': {error.strerror or error}") from None


def _csv(store: Store, path: Path) -> int:
    import json

    from harness.storage.ask import plain_value
    from harness.storage.frame import frame

    rows = frame(store)
    for name in ("methods", "metrics", "floor", "curves"):
        values = store.table(f"SELECT {name} FROM trials ORDER BY task, variant, scale, pipeline, seed, trial_id")
        rows[name] = [json.dumps(plain_value(value, values.column(0).type)) for value in values.column(0).to_pylist()]
    rows.to_csv(path, index=False)
    return len(rows)


def _copy(store: Store, form: str, path: Path) -> int:
    from harness.storage.views import quoted

    with store.reading() as connection:
        connection.execute(
            "COPY (SELECT * FROM trials ORDER BY task, variant, scale, pipeline, seed, trial_id) "
            f"TO {quoted(str(path))} (FORMAT {form})"
        )
        row = connection.execute("SELECT count(*) FROM trials").fetchone()
    return int(row[0]) if row else 0
