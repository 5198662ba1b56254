"""`harness store`: info, compact, check, import."""

from __future__ import annotations

import click

_STORE = click.option(
    "--store", "path", default="results", show_default=True, metavar="DIR", help="Where the rows are."
)


@click.group()
def store() -> None:
    """Look after a store."""


@store.command()
@_STORE
def info(path: str) -> None:
    """How many trials, of what, in how many files."""
    from harness.results.maintenance import info as describe
    from harness.results.store import Store

    for name, value in describe(Store(path)).items():
        click.echo(f"{name:<12} {value}")


@store.command()
@_STORE
def compact(path: str) -> None:
    """Merge all files into one, sorted, with one row a trial; what is torn or foreign goes to trials/aside."""
    from harness.results.maintenance import compact as merge
    from harness.results.store import Store

    done = merge(Store(path))
    click.echo(f"{done.rows} trials, {done.superseded} superseded rows kept, {done.merged} files merged")
    for entry in done.aside:
        click.echo(f"set aside: {entry.path}: {entry.reason}", err=True)


@store.command()
@_STORE
def check(path: str) -> int:
    """Read every file; exit code 1 when some are torn or foreign."""
    from harness.errors import HarnessError
    from harness.results.maintenance import check as look
    from harness.results.store import Store

    found = Store(path)
    if not found.path.is_dir():
        raise HarnessError(f"there is no store at '{path}'; run something first: harness demo, or give --store")
    bad = look(found)
    for entry in bad:
        click.echo(f"{entry.path}: {entry.reason}")
    click.echo(
        "every file is sound" if not bad else f"{len(bad)} not read; `harness store compact` sets rows' files aside"
    )
    return 1 if bad else 0


@store.command("import")
@click.argument("source")
@click.option("--trust", default="", help="Give the rows this level: self-reported, re-scored, re-run.")
@_STORE
def import_(source: str, trust: str, path: str) -> None:
    """Add the rows of another store, or of a Parquet file of rows; rows already there are left out."""
    from harness.results.maintenance import import_rows
    from harness.results.store import Store

    click.echo(f"{import_rows(Store(path), source, trust)} new rows in {path}")
