"""The index of this package: quantization of trained weights."""

from harness import Method, Paper, Task, hookimpl


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(
            "round-to-nearest",
            interface="transform",
            field="quantization",
            target="harness_quantization.round_to_nearest:RoundToNearest",
            paper="yvinec2023nupes",
            summary="uniform symmetric quantization, a scale a tensor or a channel",
        ),
        Method(
            "full-precision",
            interface="transform",
            field="quantization",
            target="harness_quantization.full_precision:FullPrecision",
            summary="the weights as they are",
        ),
    ]


@hookimpl
def harness_tasks() -> list[Task]:
    return [
        Task(
            "ptq-weights",
            field="quantization",
            target="harness_quantization.tasks:PTQWeights",
            summary="weights of random tensors or a small CNN at 2 to 8 bits, without training",
        ),
    ]


@hookimpl
def harness_papers() -> list[Paper]:
    return [
        Paper(
            "yvinec2023nupes",
            "NUPES: Non-Uniform Post-Training Quantization via Power Exponent Search",
            arxiv="2308.05600",
            summary="power functions before rounding; exponent 1 is uniform quantization",
        ),
    ]
