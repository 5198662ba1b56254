"""Named arrays between processes: safetensors files with plain JSON beside the arrays. Nothing in them can execute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from harness.errors import HarnessError
from harness.interfaces.budget import Budget
from harness.interfaces.problem import Array, Problem, Split

KINDS = "biuf"


def save(path: str | Path, arrays: Mapping[str, Any], note: Mapping[str, Any] | None = None) -> str:
    """Write arrays of numbers or booleans to `path`; `note` is any JSON value kept beside them.

    The file is for one reader who is told when it is there; what outlives a run is copied and renamed by its keeper.

    Raises:
        HarnessError: a value is not an array of numbers or booleans.
    """
    plain = {name: _plain(name, value) for name, value in arrays.items()}
    save_file(plain, str(path), metadata={"note": json.dumps(note if note is not None else {})})
    return str(path)


def load(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and the note of a file written by `save`."""
    with safe_open(str(path), framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
        note = json.loads((file.metadata() or {}).get("note", "{}"))
    return arrays, note


def _plain(name: str, value: Any) -> Array:
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    if array.dtype.kind not in KINDS:
        raise HarnessError(f"'{name}' is an array of {array.dtype}; outputs are arrays of numbers or booleans")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.copy(order="C") if not array.flags.c_contiguous else array


def save_problem(path: str | Path, problem: Problem) -> str:
    """Write the visible part of a task."""
    arrays: dict[str, Any] = {}
    for split_name, split in problem.splits.items():
        arrays[f"splits/{split_name}/x"] = split.x
        if split.y is not None:
            arrays[f"splits/{split_name}/y"] = split.y
        for extra_name, extra in split.extra.items():
            arrays[f"splits/{split_name}/extra/{extra_name}"] = extra
    for input_name, value in problem.inputs.items():
        arrays[f"inputs/{input_name}"] = value
    note = {
        "kind": problem.kind,
        "classes": problem.classes,
        "budget": asdict(problem.budget),
        "info": dict(problem.info),
        "splits": list(problem.splits),
    }
    return save(path, arrays, note)


def load_problem(path: str | Path) -> Problem:
    """The problem that `save_problem` wrote; lists in `info` come back as lists, tuples too."""
    arrays, note = load(path)

    def below(prefix: str) -> dict[str, Array]:
        return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}

    splits = {
        name: Split(
            x=arrays[f"splits/{name}/x"],
            y=arrays.get(f"splits/{name}/y"),
            extra=below(f"splits/{name}/extra/"),
        )
        for name in note["splits"]
    }
    return Problem(
        kind=note["kind"],
        splits=splits,
        inputs=below("inputs/"),
        classes=note["classes"],
        budget=Budget(**note["budget"]),
        info=note["info"],
    )
