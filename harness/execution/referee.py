"""The referee: prepares a task's data, keeps what is hidden, and scores. It loads the task and no method."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UnknownName
from harness.execution import wire
from harness.interfaces.problem import Array
from harness.interfaces.task import BaseTask, Values
from harness.part import Part

Entry = dict[str, Any]


class Referee:
    """One task, all its variants. Every answer is a JSON value; arrays stay in files.

    Hidden arrays live in this process only. After a restart they are prepared again: `prepare` is deterministic.
    """

    def __init__(self, target: str, path: str = "") -> None:
        self._target = target
        self._path = path
        self._tasks: dict[str, BaseTask] = {}
        self._hidden: dict[tuple[str, str, int], dict[str, Array]] = {}

    def prepare(self, params: Mapping[str, Any], scale: str, seed: int, file: str) -> Entry:
        """Prepare one seed: write the visible problem to `file`, keep the hidden part, return the floor."""
        task = self._task(params)
        problem, hidden = task.prepare(scale, seed)
        self._hidden[_key(params, scale, seed)] = hidden
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        wire.save_problem(file, problem)
        return {"floor": entries(task.floor(hidden), {m.name: m.split for m in task.metrics}, partial=True)}

    def score(self, params: Mapping[str, Any], scale: str, outputs: Mapping[str, str]) -> Entry:
        """Score the outputs (seed -> file) of a group.

        Returns:
            {"metrics": {seed: entries}, "errors": {seed: one line}}; each seed is in exactly one of them.
        """
        task = self._task(params)
        splits = {metric.name: metric.split for metric in task.metrics}
        metrics: dict[str, list[Entry]] = {}
        errors: dict[str, str] = {}
        read: dict[str, tuple[dict[str, Array], dict[str, Array]]] = {}
        for seed, file in outputs.items():
            try:
                arrays = wire.load(file)[0]
                hidden = self._hidden_of(params, scale, int(seed))
                probes = {name: float(value) for name, value in arrays.items() if _is_probe(name, value)}
                metrics[seed] = entries(
                    {**probes, **task.score(arrays, hidden)}, {**dict.fromkeys(probes, ""), **splits}
                )
                read[seed] = (arrays, hidden)
            except Exception as error:
                errors[seed] = f"{type(error).__name__}: {error}"
        if read:
            self._score_group(task, read, metrics, errors, splits)
        return {"metrics": metrics, "errors": errors}

    def forget(self, params: Mapping[str, Any], scale: str) -> None:
        """Drop the hidden arrays of a variant that is finished."""
        prefix = _key(params, scale, 0)[:2]
        for key in [key for key in self._hidden if key[:2] == prefix]:
            del self._hidden[key]

    def _score_group(
        self,
        task: BaseTask,
        read: Mapping[str, tuple[dict[str, Array], dict[str, Array]]],
        metrics: dict[str, list[Entry]],
        errors: dict[str, str],
        splits: Mapping[str, str],
    ) -> None:
        try:
            shared = task.score_group([pair[0] for pair in read.values()], [pair[1] for pair in read.values()])
            found = entries(shared, dict.fromkeys(splits, "group"))
        except Exception as error:
            for seed in read:
                del metrics[seed]
                errors[seed] = f"score_group: {type(error).__name__}: {error}"
            return
        for seed in read:
            metrics[seed] = metrics[seed] + found

    def _task(self, params: Mapping[str, Any]) -> BaseTask:
        key = json.dumps(params, sort_keys=True)
        if key not in self._tasks:
            from harness.execution.worker import instance

            self._tasks[key] = instance(Part("", "", self._target, params, self._path))
        return self._tasks[key]

    def _hidden_of(self, params: Mapping[str, Any], scale: str, seed: int) -> dict[str, Array]:
        key = _key(params, scale, seed)
        if key not in self._hidden:
            self._hidden[key] = self._task(params).prepare(scale, seed)[1]
        return self._hidden[key]


def entries(values: Values, splits: Mapping[str, str], partial: bool = False) -> list[Entry]:
    """Metric values as rows keep them: one entry for each name and point of a sweep.

    Raises:
        HarnessError: a name that the task does not list, or a value that is not a finite number.
    """
    found: list[Entry] = []
    for name, value in values.items():
        if name not in splits:
            raise UnknownName("metric", name, splits)
        points: Sequence[tuple[str, float]] = list(value.items()) if isinstance(value, Mapping) else [("", value)]
        for at, number in points:
            number = float(number)
            if not math.isfinite(number) and not partial:
                raise HarnessError(f"{name}{f' at {at}' if at else ''} is {number}")
            found.append({"name": name, "split": splits[name], "at": point(at), "value": number})
    return found


def point(at: str) -> dict[str, float]:
    """ "bits=3,shots=1" -> {"bits": 3.0, "shots": 1.0}."""
    pairs = (item.partition("=") for item in at.split(",") if item)
    return {name.strip(): float(value) for name, _, value in pairs}


def _key(params: Mapping[str, Any], scale: str, seed: int) -> tuple[str, str, int]:
    return json.dumps(params, sort_keys=True), scale, seed


def _is_probe(name: str, value: Array) -> bool:
    return name.startswith("probe/") and value.ndim == 0
