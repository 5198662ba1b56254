"""The contract suites, on the quantizers and on `ptq-weights`."""

from typing import Any, ClassVar

from harness_quantization.full_precision import FullPrecision
from harness_quantization.round_to_nearest import RoundToNearest
from harness_quantization.tasks import PTQWeights

from harness.testing import TaskContract, TransformContract


class TestRoundToNearest(TransformContract):
    method = RoundToNearest
    params: ClassVar[dict[str, Any]] = {"bits": 3}


class TestRoundToNearestChannel(TransformContract):
    method = RoundToNearest
    params: ClassVar[dict[str, Any]] = {"bits": 4, "granularity": "channel"}


class TestFullPrecision(TransformContract):
    method = FullPrecision


class TestPTQTensors(TaskContract):
    task = PTQWeights

    def stages(self) -> list[Any]:
        return [RoundToNearest()]


class TestPTQNetwork(TestPTQTensors):
    params: ClassVar[dict[str, Any]] = {"model": "cnn", "bits": 3}
    permutable = ("labels",)
