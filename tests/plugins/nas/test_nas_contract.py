"""The contract suites, on the searchers and on `supernet-cell-digits`."""

from typing import Any, ClassVar

import torch
from harness_nas.cell import CellNetwork
from harness_nas.models import recipe
from harness_nas.search import RandomArchitecture, RandomSearch
from harness_nas.tasks import SupernetCellDigits

from harness import Problem
from harness.testing import LearnerContract, TaskContract
from harness.testing.toys import bench


class TestRandomArchitecture(LearnerContract):
    method = RandomArchitecture

    def problem(self, seed: int) -> Problem:
        problem, _ = SupernetCellDigits().prepare("smoke", seed)
        return Problem(
            problem.kind, problem.splits, problem.inputs, problem.classes, info={**problem.info, "epochs": 1}
        )

    def recipe(self, problem: Problem) -> Any:
        return recipe(problem)


class TestRandomSearch(TestRandomArchitecture):
    method = RandomSearch
    params: ClassVar[dict[str, Any]] = {"candidates": 3}

    def predictions(self) -> list[Any]:
        torch.manual_seed(0)
        supernet = {f"model/{name}": value.detach().numpy() for name, value in CellNetwork().named_parameters()}

        def prepare(context: Any) -> None:
            context.recipe = self.recipe(context.problem)
            context.artifact = {"supernet": supernet}.__getitem__

        def work(context: Any) -> Any:
            return self.make().fit(context.problem, context).predict(context.problem.inputs["test"])

        return bench(work, problem=self.problem, prepare=prepare)


class TestSupernetCellDigits(TaskContract):
    task = SupernetCellDigits
    permutable = ("labels",)

    def stages(self) -> list[Any]:
        return [RandomSearch(candidates=3)]
