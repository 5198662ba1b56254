"""The index of this package."""

from harness import Method, hookimpl

_METHODS = (
    ("sgd", "harness_optimizers.sgd:SGD", "stochastic gradient descent with momentum"),
    ("adam", "harness_optimizers.adam:Adam", "Adam, weight decay as a term of the gradient"),
    ("adamw", "harness_optimizers.adam:AdamW", "Adam with decoupled weight decay"),
)


@hookimpl
def harness_methods() -> list[Method]:
    return [
        Method(name, interface="recipe-change", field="optimizer", target=target, summary=summary)
        for name, target, summary in _METHODS
    ]
