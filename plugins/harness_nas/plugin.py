"""The index of this package: architecture search."""

from harness import Method, Paper, Task, hookimpl


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(
            "random-search",
            interface="learner",
            field="nas",
            target="harness_nas.search:RandomSearch",
            summary="judge random architectures with a supernet's weights, train the best from scratch",
        ),
        Method(
            "random-architecture",
            interface="learner",
            field="nas",
            target="harness_nas.search:RandomArchitecture",
            summary="one random architecture, trained from scratch",
        ),
    ]


@hookimpl
def harness_tasks() -> list[Task]:
    return [
        Task(
            "supernet-cell-digits",
            field="nas",
            target="harness_nas.tasks:SupernetCellDigits",
            summary="125 cells on shifted noisy digits, with a supernet trained by single paths",
        ),
    ]


@hookimpl
def harness_papers() -> list[Paper]:
    return [
        Paper(
            "lu2023pada",
            "PA&DA: Jointly Sampling PAth and DAta for Consistent NAS",
            arxiv="2302.14772",
            code="ShunLu91/PA-DA",
            summary="the search space of supernet-cell-digits follows its benchmark",
        ),
    ]
