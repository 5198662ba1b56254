"""The contract suites, on the samplers and on `longtail-digits`."""

from typing import Any, ClassVar

from harness_samplers.longtail_digits import LongtailDigits
from harness_samplers.loss_proportional import LossProportional

from harness.testing import RecipeChangeContract, TaskContract


class TestLossProportional(RecipeChangeContract):
    method = LossProportional
    off: ClassVar[dict[str, Any]] = {"tau": 0.0}


class TestLossProportionalUnbiased(RecipeChangeContract):
    method = LossProportional
    params: ClassVar[dict[str, Any]] = {"tau": 0.9, "unbiased": True}


class TestLongtailDigits(TaskContract):
    task = LongtailDigits
    permutable = ("labels",)

    def stages(self) -> list[Any]:
        return [LossProportional()]


class TestLongtailDigitsHard(TestLongtailDigits):
    params: ClassVar[dict[str, Any]] = {"rho": 50.0, "unlabelled": "long-tailed"}
