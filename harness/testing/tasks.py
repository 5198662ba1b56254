"""The contract of tasks: what is hidden stays hidden, and the rest is deterministic."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harness.execution import wire
from harness.execution.context import TrialContext
from harness.execution.referee import entries
from harness.interfaces.pipeline import Pipeline
from harness.interfaces.problem import Problem
from harness.interfaces.task import BaseTask
from harness.testing.toys import bench, build_artifacts, same


class TaskContract:
    """Set `task` to your class, `params` to a variant, and `stages` to a function that makes the reference pipeline.

    Attributes:
        stages: `() -> sequence of method instances`; the smallest pipeline that the task accepts.
        permutable: names of hidden arrays that can be permuted along their first axis (labels).
    """

    task: ClassVar[type[BaseTask]]
    params: ClassVar[dict[str, Any]] = {}
    permutable: ClassVar[Sequence[str]] = ()
    scale: ClassVar[str] = "smoke"
    seeds: ClassVar[tuple[int, ...]] = (100, 101)

    def stages(self) -> Sequence[Any]:
        """The methods of the smallest pipeline that the task accepts."""
        raise NotImplementedError("define stages(): the methods of the smallest pipeline that the task accepts")

    def make(self) -> BaseTask:
        return self.task(**self.params)

    def outputs(self, edit: Callable[[dict[str, Any]], None] | None = None) -> list[dict[str, Any]]:
        """Outputs of both seeds at scale smoke; `edit` may spoil the hidden part, which `run` must not notice."""
        task = self.make()
        problems: dict[int, Problem] = {}
        for seed in self.seeds:
            problems[seed], hidden = task.prepare(self.scale, seed)
            if edit is not None:
                edit(hidden)

        with tempfile.TemporaryDirectory() as folder:
            files = build_artifacts(
                lambda problem: task.artifacts, self.seeds, problems.__getitem__, Path(folder), "auto"
            )

            def prepare(context: TrialContext) -> None:
                context._artifacts = files[context._seed]

            def work(context: TrialContext) -> dict[str, Any]:
                outputs = task.run(Pipeline(tuple(self.stages())), context.problem, context)
                return {name: np.asarray(value) for name, value in outputs.items()}

            return bench(work, self.seeds, "auto", problem=problems.__getitem__, prepare=prepare)

    def test_implements_its_interface(self) -> None:
        assert issubclass(self.task, BaseTask)

    def test_is_documented(self) -> None:
        assert (self.task.__doc__ or "").strip()

    def test_declares_metrics_baselines_and_reference(self) -> None:
        assert self.task.metrics, "no metrics"
        assert self.task.metrics[0].margin is not None, "the primary metric has no margin"
        assert self.task.reference in self.task.baselines

    def test_prepare_is_deterministic_and_differs_by_seed(self) -> None:
        task = self.make()

        def arrays(seed: int) -> tuple[Any, ...]:
            problem, hidden = task.prepare(self.scale, seed)
            splits = {
                name: (split.x, () if split.y is None else split.y, dict(split.extra))
                for name, split in problem.splits.items()
            }
            return splits, dict(problem.inputs), hidden

        assert same(arrays(self.seeds[0]), arrays(self.seeds[0]))
        assert not same(arrays(self.seeds[0]), arrays(self.seeds[1]))

    def test_problem_survives_the_way_to_a_worker(self, tmp_path: Path) -> None:
        problem, _ = self.make().prepare(self.scale, self.seeds[0])
        back = wire.load_problem(wire.save_problem(tmp_path / "problem.safetensors", problem))
        assert same(dict(problem.inputs), dict(back.inputs))
        assert all(same(problem.splits[name].x, split.x) for name, split in back.splits.items())

    def test_outputs_do_not_depend_on_what_is_hidden(self) -> None:
        """`run` with the hidden part deleted, and with it permuted, gives the same bytes."""

        def permute(hidden: dict[str, Any]) -> None:
            for name in self.permutable:
                hidden[name] = hidden[name][::-1].copy()

        plain = self.outputs()
        assert same(plain, self.outputs(edit=dict.clear))
        assert same(plain, self.outputs(edit=permute))

    def test_no_hidden_array_is_visible(self) -> None:
        problem, hidden = self.make().prepare(self.scale, self.seeds[0])
        visible = [*problem.inputs.values()]
        for split in problem.splits.values():
            visible += [split.x, *([] if split.y is None else [split.y]), *split.extra.values()]
        for name in self.permutable:
            assert not any(same(hidden[name], array) for array in visible), f"hidden '{name}' is visible"

    def test_scores_are_listed_and_finite_and_pure(self) -> None:
        task = self.make()
        splits = {metric.name: metric.split for metric in task.metrics}
        hidden = [task.prepare(self.scale, seed)[1] for seed in self.seeds]
        outputs = self.outputs()
        scores = [entries(task.score(o, h), splits) for o, h in zip(outputs, hidden, strict=True)]
        assert scores == [entries(task.score(o, h), splits) for o, h in zip(outputs, hidden, strict=True)]
        assert all(any(entry["name"] == task.metrics[0].name for entry in score) for score in scores)
        entries(task.score_group(outputs, hidden), splits)

    def test_floor_is_given_for_the_primary_metric(self) -> None:
        task = self.make()
        _, hidden = task.prepare(self.scale, self.seeds[0])
        assert task.metrics[0].name in task.floor(hidden)
