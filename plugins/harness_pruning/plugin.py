"""The index of this package: pruning of trained weights."""

from harness import Method, Paper, Task, hookimpl


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(
            "one-shot-magnitude",
            interface="transform",
            field="pruning",
            target="harness_pruning.magnitude:OneShotMagnitude",
            paper="jaiswal2023emergence",
            summary="cut the smallest weights of all layers at once, then fine-tune under the mask",
        ),
        Method(
            "random-prune",
            interface="transform",
            field="pruning",
            target="harness_pruning.magnitude:RandomPrune",
            summary="cut as many weights, drawn at random",
        ),
        Method(
            "dense",
            interface="transform",
            field="pruning",
            target="harness_pruning.magnitude:Dense",
            summary="cut nothing, fine-tune alike",
        ),
    ]


@hookimpl
def harness_tasks() -> list[Task]:
    return [
        Task(
            "oneshot-prune-digits",
            field="pruning",
            target="harness_pruning.tasks:OneshotPruneDigits",
            summary="prune an MLP pre-trained on digits 0-4, fine-tune on 5-9",
        ),
    ]


@hookimpl
def harness_papers() -> list[Paper]:
    return [
        Paper(
            "jaiswal2023emergence",
            "The Emergence of Essential Sparsity in Large Pre-trained Models: The Weights that Matter",
            arxiv="2306.03805",
            code="VITA-Group/essential_sparsity",
            summary="up to a sharp point, one-shot magnitude pruning of pre-trained weights costs nothing",
        ),
    ]
