"""The task: prepare (hidden from methods), run (with the pipeline), score (pure)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from harness.interfaces.budget import Budget
from harness.interfaces.context import Context
from harness.interfaces.pipeline import Pipeline
from harness.interfaces.problem import Array, Problem

Arrays = dict[str, Array]
Values = dict[str, float | dict[str, float]]


@dataclass(frozen=True)
class TaskMetric:
    """A metric as a task lists it.

    Attributes:
        name: as the row calls it.
        direction: "max" or "min".
        unit: for display.
        ceiling: the best attainable value, or None.
        margin: the smallest difference worth having, or None where the task does not say.
        split: what it is computed on, for display.
    """

    name: str
    direction: str = "max"
    unit: str = ""
    ceiling: float | None = None
    margin: float | None = None
    split: str = "test"


class BaseTask(ABC):
    """Data, protocol and metrics. One setting of the parameters of `__init__` is a variant.

    `prepare`, `score`, `score_group` and `floor` run in the referee, which loads no method; only `run` is executed in
    the worker, and it never sees what is hidden.

    Attributes:
        version: raise it when data, protocol or budget change; rows remember it.
        offers: what a pipeline starts from: "recipe", "trained", "outputs", "table" or "problem".
        takes: what it must end with: "predictor", "trained", "scores" or "measurements".
        interfaces: interfaces that a pipeline may use here; empty for all that chain.
        fields: fields of methods that make sense here; empty for all.
        presets: name -> parameters, variants with a name.
        metrics: the primary one first.
        baselines: pipelines to compare against, "focal[gamma=2.0]".
        reference: the one of them that normalised scores are measured against.
        tunable: what tuning may vary of the task's own settings (learning rate, weight decay).
        artifacts: name -> module-level builder `f(problem, context) -> {name: array}`.
        datasets: names of the data sets that it reads (bundled ones need not be named).
        trusted_scoring: False where the environment must be live in the worker.
    """

    version: ClassVar[int] = 1
    offers: ClassVar[str] = "recipe"
    takes: ClassVar[str] = "predictor"
    interfaces: ClassVar[Sequence[str]] = ()
    fields: ClassVar[Sequence[str]] = ()
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    metrics: ClassVar[Sequence[TaskMetric]] = ()
    baselines: ClassVar[Sequence[str]] = ()
    reference: ClassVar[str] = ""
    tunable: ClassVar[Mapping[str, Any]] = {}
    artifacts: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    datasets: ClassVar[Sequence[str]] = ()
    trusted_scoring: ClassVar[bool] = True

    def budget(self, scale: str) -> Budget:
        """What one trial may spend at a scale."""
        return Budget()

    @abstractmethod
    def prepare(self, scale: str, seed: int) -> tuple[Problem, Arrays]:
        """The visible problem, and the hidden arrays that `score` needs (test labels)."""

    @abstractmethod
    def run(self, pipeline: Pipeline, problem: Problem, context: Context) -> Arrays:
        """Apply the pipeline for one seed and return named arrays (numbers and booleans only)."""

    @abstractmethod
    def score(self, outputs: Arrays, hidden: Arrays) -> Values:
        """Metrics of one trial; a value is a number, or {point: number} for a sweep."""

    def score_group(self, outputs: Sequence[Arrays], hidden: Sequence[Arrays]) -> Values:
        """Metrics over all seeds of a group that finished (variances, rank correlations); added to each of its rows.

        Rows keep them with the split "group".
        """
        return {}

    @abstractmethod
    def floor(self, hidden: Arrays) -> Values:
        """What a constant predictor gets, for the primary metric at least."""
