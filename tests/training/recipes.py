"""Small recipes for tests."""

import numpy as np
import torch
import torch.nn.functional as F

from harness.interfaces import FunctionLoss, GradientRule, Loss, Network, Optimizer, Recipe, Source, Term
from harness.nn import CNN, MLP
from harness.training import Request, train

NAMES = ("body.0.weight", "body.0.bias", "head.weight", "head.bias")


class CrossEntropy(Loss):
    vectorizable = True

    def forward(self, logits, target):
        return F.cross_entropy(logits, target, reduction="none")


class Decay(Term):
    """Half the squared norm of the head's input."""

    vectorizable = True
    role = "decay"

    def forward(self, step):
        return 0.5 * step.output().features.pow(2).sum(1)


class Sharpness(GradientRule):
    """Moves uphill by `rho` before it looks at the gradient."""

    vectorizable = True

    def __init__(self, rho):
        super().__init__()
        self.rho = rho

    def gradients(self, gradient_at, parameters, step):
        uphill = gradient_at(parameters)
        norm = sum(g.pow(2).sum() for g in uphill.values()).sqrt() + 1e-12
        return gradient_at({k: p + self.rho / norm * uphill[k] for k, p in parameters.items()})


def data(n=90, inputs=12, classes=4, seed=0, images=False):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = rng.normal(size=(n, inputs)) + 2 * np.eye(classes, inputs)[y]
    if images:
        x = rng.normal(size=(n, 1, 8, 8)) + 2 * np.eye(classes, 64)[y].reshape(n, 1, 8, 8)
    return x, y


def sgd(lr=0.1, momentum=0.9, weight_decay=5e-3, elementwise=True):
    options = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    return Optimizer(torch.optim.SGD, options, elementwise=elementwise)


def mlp_recipe(width=16, epochs=3, batch=20, optimizer=None, loss=None, n=90, seed=0, **changes):
    x, y = data(n, seed=seed)
    return Recipe(
        networks={"model": Network(MLP, {"inputs": 12, "widths": (width,), "classes": 4})},
        sources={"labelled": Source(x, y, batch=batch)},
        terms={"loss": loss or CrossEntropy()},
        optimizers=(("*", optimizer or sgd()),),
        epochs=epochs,
    ).replace(**changes)


def cnn_recipe(norm="batch", epochs=2, n=60, widths=(8, 16), pool=(1,), **changes):
    x, y = data(n, images=True)
    options = {"widths": widths, "classes": 4, "pool": pool, "norm": norm}
    return Recipe(
        networks={"model": Network(CNN, options)},
        sources={"labelled": Source(x.astype(np.float32), y, batch=16)},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=(("*", sgd(lr=0.05)),),
        epochs=epochs,
    ).replace(**changes)


def run(recipe, seeds=(0, 1, 2), mapping="loop", precision="float64", strict=True, **extra):
    """Results for several seeds; `recipe` may be a function of the seed."""
    make = recipe if callable(recipe) else lambda seed: recipe
    results = train([Request(s, make(s), **extra) for s in seeds], mapping, precision=precision)
    if strict:
        for result in results:
            if result.error is not None:
                raise result.error
            assert result.mapping == mapping
    return results


def weights(result, network="model"):
    return result.trained.weights[network]


def gap(a, b, network="model"):
    """The largest difference of any stored number of a network."""
    x, y = weights(a, network), weights(b, network)
    assert x.keys() == y.keys()
    return max(float(np.abs(x[name] - y[name]).max()) for name in x)


def same_bits(a, b, network="model"):
    x, y = weights(a, network), weights(b, network)
    return x.keys() == y.keys() and all(x[n].tobytes() == y[n].tobytes() for n in x)
