"""Measures one step of all seeds under each mapping, for the table that `harness.training.mapping` chooses from.

    OMP_NUM_THREADS=1 python tests/benchmarks/make_mapping_table.py [--device cpu] [--seconds 3] [--check]

Runs of the two mappings alternate, and the fastest of each counts, so that other work on the machine hurts both alike.
Rows of other devices are kept. With --merge the faster of the committed and the new time counts, which makes a table
from several runs on a busy machine better. With --check nothing is written: the exit code is 1 where the mapping that
the committed table chooses is more than 10 % slower than the other.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

from harness.interfaces import FunctionLoss, Network, Optimizer, Recipe, Source
from harness.nn import CNN, MLP
from harness.training import Request, train
from harness.training.mapping import TABLE, Measured, choose, table

SEEDS = 10
MLPS = ((), (64,), (128,), (256,), (256, 256), (512, 512))
CNNS = ((8, 16), (16, 32, 64), (32, 64, 64))
CASES = [
    *(
        ("dense", "mlp-" + "-".join(map(str, (64, *widths, 10))), widths, batch)
        for widths in MLPS
        for batch in (64, 256)
    ),
    *(("conv", "cnn-" + "-".join(map(str, widths)), widths, batch) for widths in CNNS for batch in (16, 64)),
]


def recipe(kind: str, widths: tuple[int, ...], batch: int, steps: int) -> Recipe:
    """A recipe of `steps` steps on random data the size of the handwritten digits."""
    rng = np.random.default_rng(0)
    shape = (1, 8, 8) if kind == "conv" else (64,)
    x = rng.normal(size=(batch * 8, *shape)).astype(np.float32)
    if kind == "conv":
        network = Network(CNN, {"widths": widths, "pool": (2,)})
    else:
        network = Network(MLP, {"inputs": 64, "widths": widths, "classes": 10})
    sgd = Optimizer(torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}, elementwise=True)
    return Recipe(
        networks={"model": network},
        sources={"labelled": Source(x, rng.integers(0, 10, len(x)), batch=batch)},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=(("*", sgd),),
        steps=steps,
    )


def milliseconds(mapping: str, made: Recipe, device: str) -> float:
    """Time of one step of all seeds, set-up not counted."""
    results = train([Request(seed, made) for seed in range(SEEDS)], mapping, device)
    for result in results:
        if result.error is not None:
            raise result.error
    return sum(result.spent.fit_seconds for result in results) / results[0].spent.steps * 1e3


def measure(kind: str, model: str, widths: tuple[int, ...], batch: int, device: str, seconds: float) -> Measured:
    """One row of the table."""
    short = recipe(kind, widths, batch, 2)
    steps = max(4, int(0.15 * seconds * 1e3 / max(milliseconds(m, short, device) for m in ("loop", "vmap"))))
    long = recipe(kind, widths, batch, min(steps, 200))
    times: dict[str, list[float]] = {"loop": [], "vmap": []}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times["loop"]) < 3:
        for mapping, found in times.items():
            found.append(milliseconds(mapping, long, device))
    network = long.networks["model"]
    parameters = sum(p.numel() for p in network.factory(**network.options).parameters())
    loop, vmap = round(min(times["loop"]), 3), round(min(times["vmap"]), 3)
    return Measured(kind, device, model, parameters, batch, SEEDS, loop, vmap)


def merged(row: Measured) -> Measured:
    """The row with the committed times where these are shorter."""
    for old in table():
        if (old.kind, old.device, old.model, old.batch, old.seeds) == (
            row.kind,
            row.device,
            row.model,
            row.batch,
            row.seeds,
        ):
            return dataclasses.replace(
                row, loop_ms=min(old.loop_ms, row.loop_ms), vmap_ms=min(old.vmap_ms, row.vmap_ms)
            )
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each size")
    parser.add_argument("--merge", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, bad = [], 0
    for kind, model, widths, batch in CASES:
        row = measure(kind, model, widths, batch, options.device, options.seconds)
        if options.merge:
            row = merged(row)
        rows.append(row)
        line = f"{row.kind:6} {row.model:20} batch {row.batch:4} loop {row.loop_ms:8.3f} ms  vmap {row.vmap_ms:8.3f} ms"
        if options.check:
            chosen = choose(True, row.parameters, row.batch, row.kind, row.device)
            ratio = {"loop": row.loop_ms, "vmap": row.vmap_ms}[chosen] / min(row.loop_ms, row.vmap_ms)
            bad += ratio > 1.1
            line += f"  chosen {chosen}: {ratio:.2f} of the best"
        print(line, flush=True)
    if options.check:
        return int(bad > 0)
    kept = [row for row in table() if row.device != options.device]
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in dataclasses.fields(Measured)])
        writer.writerows(dataclasses.astuple(row) for row in (*kept, *rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
