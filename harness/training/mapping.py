"""Which mapping over the seeds is used: a pure function of a committed table, never of a timing at run time.

`tests/benchmarks/make_mapping_table.py` measures the table again; a reviewer commits it.
"""

from __future__ import annotations

import csv
import functools
import math
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).with_name("mapping_table.csv")


@dataclass(frozen=True)
class Measured:
    """One line of the table: milliseconds of one step of all seeds under each mapping."""

    kind: str
    device: str
    model: str
    parameters: int
    batch: int
    seeds: int
    loop_ms: float
    vmap_ms: float

    @property
    def best(self) -> str:
        return "vmap" if self.vmap_ms < self.loop_ms else "loop"


@functools.cache
def table() -> tuple[Measured, ...]:
    """The committed table."""
    with TABLE.open(newline="") as file:
        return tuple(
            Measured(
                row["kind"],
                row["device"],
                row["model"],
                int(row["parameters"]),
                int(row["batch"]),
                int(row["seeds"]),
                float(row["loop_ms"]),
                float(row["vmap_ms"]),
            )
            for row in csv.DictReader(file)
        )


def choose(vectorizable: bool, parameters: int, batch: int, kind: str, device: str) -> str:
    """The mapping for a recipe.

    The nearest measured size decides, by the logarithms of parameters and batch.

    Args:
        vectorizable: every part of the recipe promises that it can be stacked.
        parameters: numbers that are trained, of one seed.
        batch: examples of the first source in a batch.
        kind: "dense" or "conv".
        device: "cpu" or "cuda".

    Returns:
        "vmap" or "loop".
    """
    if not vectorizable:
        return "loop"
    device = device.split(":")[0]
    near = [row for row in table() if row.kind == kind and row.device == device]
    if not near:
        return "vmap" if device == "cuda" else "loop"

    def distance(row: Measured) -> float:
        size = math.log(max(1, parameters) / row.parameters)
        return size * size + math.log(max(1, batch) / row.batch) ** 2

    return min(near, key=distance).best
