"""The index of this package."""

from harness import Method, Task, hookimpl


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(
            "loss-proportional",
            interface="recipe-change",
            field="sampler",
            target="harness_samplers.loss_proportional:LossProportional",
            summary="draws training examples in proportion to their loss",
        ),
    ]


@hookimpl
def harness_tasks() -> list[Task]:
    return [
        Task(
            "longtail-digits",
            field="imbalance",
            target="harness_samplers.longtail_digits:LongtailDigits",
            summary="handwritten digits with an exponential long tail of classes; tiny CNN",
        ),
    ]
