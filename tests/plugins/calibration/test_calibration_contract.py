"""The contract suites, on the calibrators and on `posthoc-logit-bank`."""

from typing import Any, ClassVar

from harness_calibration.tasks import PosthocLogitBank
from harness_calibration.temperature import Temperature
from harness_calibration.uncalibrated import Uncalibrated

from harness.testing import EstimatorContract, TaskContract


class TestTemperature(EstimatorContract):
    method = Temperature


class TestTemperatureLBFGS(EstimatorContract):
    method = Temperature
    params: ClassVar[dict[str, Any]] = {"solver": "lbfgs"}


class TestUncalibrated(EstimatorContract):
    method = Uncalibrated


class TestPosthocLogitBank(TaskContract):
    task = PosthocLogitBank
    params: ClassVar[dict[str, Any]] = {"model": "linear"}
    permutable = ("test", "shifted")

    def stages(self) -> list[Any]:
        return [Temperature()]
