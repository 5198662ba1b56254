"""`harness board`."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option("--task", "tasks", multiple=True, metavar="NAME[VARIANT]", help="Only this task; repeatable.")
@click.option("--metric", default="", help="Instead of each task's primary metric; a point of a sweep: mse@bits=4.")
@click.option("--scale", default="", help="smoke, small or full; all by default, apart from each other.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "md"]), default="table", show_default=True)
@click.option("--store", "path", default="results", show_default=True, metavar="DIR", help="Where the rows are.")
def board(tasks: tuple[str, ...], metric: str, scale: str, form: str, path: str) -> None:
    """Rank methods per task and variant from the rows of a store.

    A star marks the best group: no other method beats it.
    """
    from harness.boards.cells import without_record
    from harness.boards.plain import board as rank
    from harness.boards.render import print_table, render
    from harness.storage.store import Store

    store = Store(path)
    rows = rank(store, tasks, metric or None, scale)
    if form == "table":
        print_table(rows)
    else:
        click.echo(render(rows, form))
    lacking = without_record(store)
    if lacking:
        print(f"not shown, for the store has no record of them: {', '.join(lacking)}", file=sys.stderr)
