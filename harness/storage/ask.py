"""A stranger's SQL on a store: read only, errors in one line, answers as text."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.storage.store import Store
from harness.storage.views import VIEWS

if TYPE_CHECKING:
    import pyarrow as pa

READING = ("SELECT", "EXPLAIN", "PRAGMA")


def ask(store: Store, query: str) -> pa.Table:
    """The answer to one query over the views.

    Raises:
        HarnessError: there is no store, the query writes, or DuckDB refuses it; the message lists the views.
    """
    import duckdb

    if not store.path.is_dir():
        raise HarnessError(f"there is no store at '{store.path}'; run something first: harness demo, or give --store")
    try:
        with store.reading(closed=True) as connection:
            statements = connection.extract_statements(query)
            if len(statements) != 1:
                raise HarnessError(f"give one query, not {len(statements)}; views: {', '.join(VIEWS)}")
            kind = statements[0].type.name
            if kind not in READING:
                raise HarnessError(f"a store is only read with SQL; {kind} is not allowed, SELECT is")
            return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        reason = " ".join(str(error).split("\n\nLINE")[0].split())
        raise HarnessError(f"{reason}; views: {', '.join(VIEWS)}") from None


def text(table: pa.Table, form: str) -> str:
    """A table as "table", "csv" or "json" (a list of objects; what is not finite is null)."""
    kinds = {field.name: field.type for field in table.schema}
    rows = [{name: plain_value(value, kinds[name]) for name, value in row.items()} for row in table.to_pylist()]
    if form == "json":
        return json.dumps(rows, indent=1, default=str)
    cells = [[_cell(value) for value in row.values()] for row in rows]
    if form == "csv":
        import csv
        import io

        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([table.column_names, *cells])
        return out.getvalue().rstrip("\n")
    cells = [[" ".join(cell.split()) for cell in row] for row in cells]
    columns = list(zip(table.column_names, *cells, strict=True)) if cells else [(name,) for name in table.column_names]
    widths = [max(map(len, column)) for column in columns]
    lines = [[name.ljust(width) for name, width in zip(table.column_names, widths, strict=True)]]
    lines += [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in cells]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def plain_value(value: Any, kind: pa.DataType) -> Any:
    """JSON values: a map is a list of pairs in arrow, an object here; what is not finite is null."""
    import pyarrow as pa

    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if pa.types.is_map(kind):
        return {str(key): plain_value(item, kind.item_type) for key, item in value}
    if pa.types.is_struct(kind):
        return {field.name: plain_value(value[field.name], field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain_value(item, kind.value_type) for item in value]
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, default=str)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
