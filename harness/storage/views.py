"""The DuckDB views over a store: `trials`, `all_rows`, `metrics`, `curves` and the tables of records.

None joins on trial_id. Where every trial has one row (always after a compaction), `trials` is a plain scan. Otherwise
the rows that others displace are found once, when the connection is made, and left out by file and row number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.storage import records
from harness.storage.parts import Listing, Part
from harness.storage.schema import COLUMNS, TRUST

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

VIEWS = ("trials", "metrics", "curves", "tasks", "methods", "papers", "environments", "all_rows")
Confirmed = Mapping[tuple[str, str, str, str, str], str]

_CELL = ("task", "task_package", "task_version", "variant", "scale", "pipeline", "method", "field")
_SHOWN = ("seed", "role", "tune", "impl", "precision", "status")


def create(connection: duckdb.DuckDBPyConnection, root: Path, parts: Listing, confirmed: Confirmed) -> None:
    """Define all views on a fresh connection."""
    for kind, table in records.tables(root).items():
        connection.register(f"_{kind}", table)
        connection.execute(f"CREATE VIEW {kind} AS SELECT * FROM _{kind}")
    connection.register("_confirmed", _confirmed_table(confirmed))
    connection.execute(f"CREATE VIEW all_rows AS SELECT * REPLACE ({_UTC}) FROM ({scan(parts.counted)})")
    counting, displaced = winners(connection, parts, confirmed)
    connection.execute(f"CREATE VIEW _counting AS {counting}")
    connection.execute(f"CREATE VIEW _displaced AS {displaced}")
    connection.execute(f"CREATE VIEW trials AS SELECT * REPLACE ({_UTC}), {_FLAT} FROM _counting")
    connection.execute(_METRICS)
    connection.execute(_CURVES)


def scan(parts: Sequence[Part], places: bool = False) -> str:
    """SQL for the rows of some files in the columns of the present schema; what an old file lacks is null.

    Args:
        places: add `_file` and `_row`, where each row lies.
    """
    groups: dict[str, list[Part]] = {}
    for part in parts:
        groups.setdefault(part.types, []).append(part)
    selects = []
    for group in groups.values():
        have = set(group[0].columns)
        columns = [f"{_value(name, name in have)} AS {name}" for name in COLUMNS]
        if places:
            columns += ["filename AS _file", "file_row_number AS _row"]
        files = ", ".join(quoted(str(part.path)) for part in group)
        extra = ", filename = true, file_row_number = true" if places else ""
        selects.append(f"SELECT {', '.join(columns)} FROM read_parquet([{files}]{extra}) r_")
    if not selects:
        columns = [f"NULL::{kind} AS {name}" for name, kind in COLUMNS.items()]
        if places:
            columns += ["NULL::VARCHAR AS _file", "NULL::BIGINT AS _row"]
        return f"SELECT {', '.join(columns)} WHERE false"
    return " UNION ALL ".join(selects)


def judge(connection: duckdb.DuckDBPyConnection, parts: Listing) -> None:
    """Make the tables `_losers` and `_winners`: the places of rows of repeated trials that do not count, and that do.

    Of several rows with one trial_id counts the one with the highest trust; then a finished one; then one by the
    current code, which is the code of the newest row of its (task, variant, pipeline); then the newest. Rows that a
    confirmation names count as rows of the newer code.
    """
    touched = " UNION ".join(
        f"SELECT task, variant, pipeline FROM ({source})"
        for source in (scan(parts.loose), "SELECT task, variant, pipeline FROM _confirmed")
    )
    connection.execute(f"CREATE TEMP TABLE _touched AS {touched}")
    connection.execute(
        f"""
        CREATE TEMP TABLE _keys AS
        SELECT r.trial_id, {_TRUST_RANK} AS trust, r.status <> 'interrupted' AS finished, r.started_at,
               coalesce(c.new_code_id, r.code_id) AS code, r.task, r.variant, r.pipeline, r._file, r._row
        FROM ({scan(parts.counted, places=True)}) r
        SEMI JOIN _touched t ON r.task = t.task AND r.variant = t.variant AND r.pipeline = t.pipeline
        LEFT JOIN _confirmed c ON r.task = c.task AND r.variant = c.variant AND r.pipeline = c.pipeline
                              AND r.scale = c.scale AND r.code_id = c.old_code_id
        """
    )
    connection.execute(
        """
        CREATE TEMP TABLE _places AS
        WITH repeated AS (SELECT trial_id FROM _keys GROUP BY trial_id HAVING count(*) > 1),
        present AS (
            SELECT task, variant, pipeline, max(struct_pack(moment := started_at, code := code)).code AS code
            FROM _keys GROUP BY task, variant, pipeline
        )
        SELECT k._file, k._row, row_number() OVER (
            PARTITION BY k.trial_id
            ORDER BY k.trust DESC, k.finished DESC, (k.code IS NOT DISTINCT FROM p.code) DESC,
                     k.started_at DESC NULLS LAST, k._file DESC, k._row DESC
        ) AS place
        FROM _keys k SEMI JOIN repeated r ON k.trial_id = r.trial_id
        JOIN present p ON k.task = p.task AND k.variant = p.variant AND k.pipeline = p.pipeline
        """
    )
    connection.execute("CREATE TEMP TABLE _losers AS SELECT _file, _row FROM _places WHERE place > 1")
    connection.execute("CREATE TEMP TABLE _winners AS SELECT _file, _row FROM _places WHERE place = 1")
    connection.execute("DROP TABLE _keys; DROP TABLE _touched; DROP TABLE _places")


def names(confirmed: Confirmed) -> set[str]:
    """Confirmations as texts; a compaction notes those that it knew."""
    return {"|".join((*key, code)) for key, code in confirmed.items()}


def winners(connection: duckdb.DuckDBPyConnection, parts: Listing, confirmed: Confirmed) -> tuple[str, str]:
    """SQL for the rows that count, and for the rest."""
    unique = () if parts.unique is None else (parts.unique,)
    current, superseded = (*unique, *parts.loose), parts.superseded
    noted = set() if parts.unique is None else set(parts.unique.footer.get("confirmations", ()))
    if not parts.loose and names(confirmed) <= noted:
        return scan(current), scan(superseded)
    judge(connection, parts)
    if not _count(connection, "_losers"):
        return scan(current), scan(superseded)
    now, before = scan(current, places=True), scan(superseded, places=True)
    counting = [_placed(now, "ANTI JOIN _losers")]
    displaced = [_placed(now, "SEMI JOIN _losers")]
    if superseded and _revived(connection, superseded):
        counting.append(_placed(before, "SEMI JOIN _winners"))
        displaced.append(_placed(before, "ANTI JOIN _winners"))
    elif superseded:
        displaced.append(scan(superseded))
    return " UNION ALL ".join(counting), " UNION ALL ".join(displaced)


def quoted(text: str) -> str:
    """A SQL string."""
    return "'" + text.replace("'", "''") + "'"


def _placed(source: str, join: str) -> str:
    return f"SELECT r.* EXCLUDE (_file, _row) FROM ({source}) r {join} l ON r._file = l._file AND r._row = l._row"


def _revived(connection: duckdb.DuckDBPyConnection, superseded: Sequence[Part]) -> bool:
    files = ", ".join(quoted(str(part.path)) for part in superseded)
    return bool(_count(connection, f"_winners WHERE _file IN ({files})"))


def _count(connection: duckdb.DuckDBPyConnection, source: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {source}").fetchone()
    return int(row[0]) if row else 0


def _value(name: str, present: bool) -> str:
    return f"{'r_.' + name if present else 'NULL'}::{COLUMNS[name]}"


def _confirmed_table(confirmed: Confirmed) -> pa.Table:
    import pyarrow as pa

    columns = ("task", "variant", "scale", "pipeline", "old_code_id", "new_code_id")
    rows = [dict(zip(columns, (*key, code), strict=True)) for key, code in confirmed.items()]
    return pa.Table.from_pylist(rows, schema=pa.schema([(name, pa.string()) for name in columns]))


# A view shows UTC as a plain timestamp: a zone would need a package for time zones on the reader's side.
_UTC = "make_timestamp(epoch_us(started_at)) AS started_at"
_TRUST_RANK = "CASE r.trust " + " ".join(f"WHEN '{level}' THEN {rank}" for rank, level in enumerate(TRUST)) + " END"
_FLAT = ", ".join(
    [
        *(
            f"CASE WHEN len(methods) = 1 THEN methods[1].{source} "
            f"ELSE array_to_string([m.{source} FOR m IN methods], '+') END AS {name}"
            for name, source in (("method", "name"), ("field", "field"), ("params", "params"))
        ),
        "status NOT IN ('ok', 'interrupted') AS failed",
    ]
)
_METRICS = f"""
CREATE VIEW metrics AS
WITH primaries AS (
    SELECT t.name AS task, t.package AS task_package, t.version AS task_version, e.name AS metric
    FROM (SELECT name, package, version, unnest(metrics) AS e FROM tasks) t WHERE e.primary
)
SELECT {", ".join(f"r.{name}" for name in (*_CELL, *_SHOWN))},
       r.m.name AS name, r.m.split AS split, r.m."at" AS "at", r.m.value AS value,
       coalesce(p.metric = r.m.name, false) AS "primary"
FROM (SELECT {", ".join((*_CELL, *_SHOWN))}, unnest(metrics) AS m FROM trials) r
LEFT JOIN primaries p ON r.task = p.task AND r.task_package IS NOT DISTINCT FROM p.task_package
                   AND r.task_version IS NOT DISTINCT FROM p.task_version
"""
_CURVES = f"""
CREATE VIEW curves AS
SELECT * EXCLUDE (c), c.name AS name, c.steps AS steps, c."values" AS "values"
FROM (SELECT {", ".join((*_CELL, *_SHOWN))}, unnest(curves) AS c FROM trials)
"""
