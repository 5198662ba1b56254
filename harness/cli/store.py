"""`harness store`: info, compact, check, confirm, import."""

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
    from harness.storage.maintenance import info as describe
    from harness.storage.store import Store

    for name, value in describe(Store(path)).items():
        click.echo(f"{name:<12} {value}")


@store.command()
@_STORE
def compact(path: str) -> None:
    """Merge all files into one, sorted, with one row a trial; what is torn or foreign goes to trials/aside."""
    from harness.storage.maintenance import compact as merge
    from harness.storage.store import Store

    done = merge(Store(path))
    click.echo(f"{done.rows} trials, {done.superseded} superseded rows kept, {done.merged} files merged")
    for entry in done.aside:
        click.echo(f"set aside: {entry.path}: {entry.reason}", err=True)


@store.command()
@_STORE
def check(path: str) -> int:
    """Read every file; exit code 1 when some are torn or foreign."""
    from harness.errors import HarnessError
    from harness.storage.maintenance import check as look
    from harness.storage.store import Store

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
@click.option(
    "--trust", default="", help="Give the rows this level: self-reported, re-scored, re-run or re-run-elsewhere."
)
@_STORE
def import_(source: str, trust: str, path: str) -> None:
    """Add the rows of another store, or of a Parquet file of rows; rows already there are left out."""
    from harness.storage.maintenance import import_rows
    from harness.storage.store import Store

    click.echo(f"{import_rows(Store(path), source, trust)} new rows in {path}")


@store.command()
@click.option("--plugin", "plugins", multiple=True, metavar="PATH", help="A plugin that is not installed.")
@click.option("--jobs", type=int, help="Workers side by side; default one a core.")
@_STORE
def confirm(plugins: tuple[str, ...], jobs: int | None, path: str) -> int:
    """Run one seed of each stale group again; where every metric is equal bit for bit, its rows count as current.

    Exit code 1 when the numbers of some group differ or its trial fails.
    """
    from harness.errors import HarnessError
    from harness.execution.confirm import confirm as judge
    from harness.execution.driver import executor_named
    from harness.execution.environment import cores
    from harness.registry import Registry
    from harness.storage.store import Store

    found = Store(path)
    if found.empty():
        raise HarnessError(f"nothing to confirm in '{path}'; run something first: harness demo, or give --store")
    worst = 0
    for one in judge(found, Registry.load(plugins), executor_named("processes", jobs or cores())):
        click.echo(f"{one.verdict:<10} {one.title}: {one.trials} trials{f' ({one.reason})' if one.reason else ''}")
        worst |= one.verdict in ("differs", "failed")
    return int(worst)
