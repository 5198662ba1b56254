"""`harness export`."""

from __future__ import annotations

import click


@click.command()
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option("--out", required=True, metavar="FILE", help="The file to write.")
@click.option("--store", "path", default="results", show_default=True, metavar="DIR", help="Where the rows are.")
def export(form: str, out: str, path: str) -> None:
    """Write the trials of a store as csv, json (one object a line) or parquet."""
    from harness.storage.export import export as write
    from harness.storage.store import Store

    click.echo(f"{write(Store(path), form, out)} trials -> {out}")
