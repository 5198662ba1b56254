"""Random search over architectures, ranked by the weights of a supernet."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import HarnessError, Learner, Trained

if TYPE_CHECKING:
    from harness import Context, Problem, Recipe

Array = np.ndarray[Any, Any]
Architecture = tuple[int, ...]


class RandomSearch(Learner):
    """Draws architectures, judges each with inherited weights, and trains the best one from scratch.

    The candidates are drawn uniformly without replacement from all `problem.info["operations"]` choices on each of
    `problem.info["edges"]` edges. Each is given the weights of the task's artifact "supernet" and judged by its
    accuracy on the validation split; the best one (of equals, the first drawn) is trained by the task's recipe from new
    initial weights. The accuracies, in the order of the draw, are the curve "candidate_accuracy" of the result.

    Args:
        candidates: number of architectures that are judged.

    Raises:
        HarnessError: fewer than one candidate or more than there are architectures, or a task without a search space.
    """

    def __init__(self, candidates: int = 20) -> None:
        if isinstance(candidates, bool) or not isinstance(candidates, int) or candidates < 1:
            raise HarnessError(f"candidates of random-search must be an integer >= 1; given {candidates!r}")
        self.candidates = candidates

    def fit(self, problem: Problem, context: Context) -> Trained:
        architectures = architectures_of(problem)
        if self.candidates > len(architectures):
            raise HarnessError(f"random-search cannot draw {self.candidates} of {len(architectures)} architectures")
        drawn = context.random("candidates").permutation(len(architectures))[: self.candidates]
        supernet = context.artifact("supernet")
        recipe = recipe_of(context)
        accuracies = []
        for index in drawn:
            judged = inherit(supernet, recipe, architectures[index])
            accuracies.append(accuracy(judged, problem))
        best = architectures[drawn[int(np.argmax(accuracies))]]
        return train_alone(recipe, best, context, {"candidate_accuracy": accuracies})


class RandomArchitecture(Learner):
    """The baseline: one architecture drawn uniformly, trained from scratch, none judged."""

    def fit(self, problem: Problem, context: Context) -> Trained:
        architectures = architectures_of(problem)
        drawn = architectures[int(context.random("architecture").integers(len(architectures)))]
        return train_alone(recipe_of(context), drawn, context, {"candidate_accuracy": []})


def architectures_of(problem: Problem) -> list[Architecture]:
    """All architectures of the task's space, in lexicographic order."""
    if "operations" not in problem.info or "edges" not in problem.info:
        raise HarnessError("the task has no search space: its problem.info lacks 'operations' and 'edges'")
    operations = range(int(problem.info["operations"]))
    return list(itertools.product(operations, repeat=int(problem.info["edges"])))


def recipe_of(context: Context) -> Recipe:
    """The task's own recipe, or an error where it has none."""
    if context.recipe is None:
        raise HarnessError("architecture search needs a task that offers its recipe; this one does not")
    return context.recipe


def under(recipe: Recipe, architecture: Architecture) -> Recipe:
    """The recipe with its network under an architecture."""
    return recipe.with_network("model", recipe.networks["model"].with_options(architecture=architecture))


def inherit(supernet: Mapping[str, Array], recipe: Recipe, architecture: Architecture) -> Trained:
    """The network under an architecture with its share of the supernet's weights ("model/<parameter>")."""
    network = under(recipe, architecture).networks["model"]
    names = [name for name, _ in network.factory(**network.options).named_parameters()]
    missing = [name for name in names if f"model/{name}" not in supernet]
    if missing:
        raise HarnessError(f"the artifact 'supernet' has no weights 'model/{missing[0]}'")
    return Trained({"model": network}, {"model": {name: supernet[f"model/{name}"] for name in names}})


def accuracy(predictor: Trained, problem: Problem) -> float:
    """Share of the validation split that is classified rightly."""
    validation = problem.validation
    if validation.y is None:
        raise HarnessError("architecture search needs labels in the validation split, and there are none")
    return float((predictor.predict(validation.x)["logits"].argmax(axis=1) == validation.y).mean())


def train_alone(
    recipe: Recipe, architecture: Architecture, context: Context, curves: Mapping[str, Sequence[float]]
) -> Trained:
    """Train an architecture from new initial weights; `curves` are added to the history."""
    trained = context.train(under(recipe, architecture))
    return dataclasses.replace(trained, history={**trained.history, **{k: list(v) for k, v in curves.items()}})
