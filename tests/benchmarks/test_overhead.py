"""What the harness itself costs: a trivial trial in a group of twenty seeds, rows written."""

import itertools

import pytest

from harness.execution.driver import Choice, Piece, executor_named, run_plan
from harness.execution.progress import Progress
from harness.registry.registry import Registry
from harness.storage.store import Store
from harness.study.planner import Study, plan

PLUGIN = '''
import numpy as np

from harness import BaseTask, Learner, Predictor, Problem, Split, TaskMetric


class Zero(Predictor):
    def predict(self, x):
        return {"value": np.zeros(len(x))}


class Nothing(Learner):
    """Learns nothing."""

    def fit(self, problem, context):
        return Zero()


class Trivial(BaseTask):
    """Costs nothing, so that what is left is the harness."""

    offers = "problem"
    metrics = (TaskMetric("error", "min", margin=0.1),)
    baselines = ("nothing",)
    reference = "nothing"

    def prepare(self, scale, seed):
        train = Split(np.zeros((4, 1)), np.zeros(4))
        return Problem("regression", {"train": train}, {"test": np.zeros((4, 1))}), {"y": np.ones(4)}

    def run(self, pipeline, problem, context):
        return pipeline.apply(problem, problem, context).predict(problem.inputs["test"])

    def score(self, outputs, hidden):
        return {"error": float(abs(outputs["value"] - hidden["y"]).mean())}

    def floor(self, hidden):
        return {"error": 1.0}
'''


@pytest.fixture
def trivial(tmp_path):
    path = tmp_path / f"trivial_{tmp_path.name}.py"
    path.write_text(PLUGIN)
    registry = Registry.load([str(path)])
    return plan(Study.make(tasks=["trivial"], methods=["nothing"], seeds=20), registry)


def test_inline_group_of_twenty(benchmark, trivial, tmp_path):
    """Goal: under 20 ms a group, 1 ms a trial."""
    store = Store(tmp_path / "store")

    def group():
        summary = run_plan(trivial, store, executor_named("inline", 1), Progress(), Choice(force=True))
        assert summary.statuses == {"ok": 20}

    benchmark.pedantic(group, rounds=20, warmup_rounds=2)


def test_isolated_group_in_a_warm_pool(benchmark, trivial, tmp_path):
    """Goal: under 40 ms a group of one trial, atomic write included."""
    from harness.execution.artifacts import Artifacts
    from harness.execution.executor import Processes
    from harness.execution.flow import Flow
    from harness.execution.rows import Provenance

    store = Store(tmp_path / "store")
    piece = Piece(trivial.groups[0], (0,))
    numbers = itertools.count()
    with Processes(1) as executor:
        flow = Flow(
            executor,
            tmp_path / "run",
            Artifacts(tmp_path / "artifacts", executor),
            Provenance("benchmark", "processes", "cpu", "", "", ""),
            store.commit,
        )

        def group():
            rows = flow.run(piece.group, piece.seeds, next(numbers))
            assert rows[0]["status"] == "ok", rows[0]["error"]

        benchmark.pedantic(group, rounds=20, warmup_rounds=3)
        flow.close()
