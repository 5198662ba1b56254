"""What a plugin declares: light records that a listing can read without importing any heavy module.

A declaration names its target by an import string, "package.module:Class", so that the index of a package costs
nothing to load. What cannot be said here (parameters, metrics of a task, budgets) is read from the target by the
describe worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

INTERFACES = (
    "term",
    "recipe-change",
    "gradient-rule",
    "estimator",
    "transform",
    "scorer",
    "probe",
    "learner",
)
SCALES = ("smoke", "small", "full")
Target = str | type | Callable[..., Any]


@dataclass(frozen=True)
class Method:
    """The thing under test.

    Attributes:
        name: kebab-case, unique within the distribution.
        interface: one of `INTERFACES`; it alone decides where the method can run.
        field: what the method is about ("loss", "sampler", "calibration"); a free word for lists and boards.
        target: "package.module:Class", or the class itself when it is a module-level name.
        paper: key of the `Paper` that it comes from, or "".
        summary: one line for listings.
    """

    name: str
    interface: str
    field: str
    target: Target
    paper: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Task:
    """Data, protocol and metrics. `target` is a subclass of `harness.BaseTask`."""

    name: str
    field: str
    target: Target
    summary: str = ""


@dataclass(frozen=True)
class Metric:
    """A pure function of named arrays, `f(outputs, hidden) -> float | {at: float}`.

    Attributes:
        direction: "max" or "min".
        unit: for display ("", "nats", "s", "bytes").
        split: the part of the outputs that it is computed on, for display.
        ceiling: the best attainable value, or None.
    """

    name: str
    target: Target
    direction: str = "max"
    unit: str = ""
    split: str = "test"
    ceiling: float | None = None
    summary: str = ""


@dataclass(frozen=True)
class Dataset:
    """A data set that tasks read. `target` is a loader, `f(root: pathlib.Path) -> {name: array}`.

    Attributes:
        bytes: size on disk; 0 for one that is bundled or generated.
        licence: SPDX identifier or the publisher's words.
        files: file name below the data root -> sha256.
        urls: file name -> where the publisher keeps it.
    """

    name: str
    target: Target
    summary: str = ""
    bytes: int = 0
    licence: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    key: str
    title: str
    arxiv: str = ""
    code: str = ""
    summary: str = ""


@dataclass(frozen=True)
class Comparison:
    """One part of a claim: `left relation right` on a metric over cells, decided on paired seeds.

    Attributes:
        left, right: a pipeline ("a+b", "a[x=1]"), a pipeline at a cell ("a @ task[noise=0.6]"), a number, or a
            difference of two pipelines ("a - b").
        metric: name of the metric, optionally with its point ("accuracy", "mse@4").
        cells: tasks with variants, "noisy-labels-digits[noise=0.6]".
        aggregate: "each", "mean", or "slope:<parameter>".
        relation: "better", "not_worse" or "equal"; the last two use `margin`.
    """

    left: str
    right: str | float
    metric: str
    cells: tuple[str, ...]
    aggregate: str = "mean"
    relation: str = "better"
    margin: float = 0.0


@dataclass(frozen=True)
class Claim:
    """What a paper asserts: comparisons, all of which must hold.

    Attributes:
        seeds: the planned looks, at most three.
        scale: the scale that the trials run at.
    """

    paper: str
    text: str
    comparisons: tuple[Comparison, ...] = ()
    seeds: tuple[int, ...] = (10,)
    scale: str = "small"
    note: str = ""


@dataclass(frozen=True)
class Board:
    """A leaderboard that a plugin ships: `path` is a TOML file beside the plugin."""

    name: str
    path: str
    summary: str = ""


@dataclass(frozen=True)
class Executor:
    """A way to run groups. `target` is a subclass of `harness.execution.Executor`."""

    name: str
    target: Target
    summary: str = ""
