"""`harness sql`."""

from __future__ import annotations

import click


@click.command(context_settings={"ignore_unknown_options": True})  # a query may begin with "-- a comment"
@click.argument("query")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
@click.option("--store", "path", default="results", show_default=True, metavar="DIR", help="Where the rows are.")
def sql(query: str, form: str, path: str) -> None:
    """Ask a store anything in SQL (DuckDB); nothing can be changed.

    Views: trials, metrics, curves, tasks, methods, papers, environments, all_rows.
    """
    from harness.storage.ask import ask, text
    from harness.storage.store import Store

    click.echo(text(ask(Store(path), query), form))
