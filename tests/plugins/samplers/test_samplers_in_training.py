"""loss-proportional and `longtail-digits` in real trainings at scale smoke."""

from typing import Any

import numpy as np
import pytest
from harness_losses.focal import Focal
from harness_losses.noisy_labels_digits import NoisyLabelsDigits
from harness_samplers.augment import ShiftNoise
from harness_samplers.longtail_digits import LongtailDigits
from harness_samplers.loss_proportional import LossProportional

from harness import RecipeChange
from harness.training import Request, train


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_switched_off_equals_plain_shuffling_bit_for_bit(play: Any) -> None:
    task = NoisyLabelsDigits()
    assert same(play(task).outputs, play(task, LossProportional(tau=0.0)).outputs)
    assert not same(play(task).outputs, play(task, LossProportional(tau=0.5)).outputs)


class Losses(RecipeChange):
    """Keeps the losses of the training examples at the end of every epoch, and the weights that follow them."""

    def __init__(self) -> None:
        self.seen: list[np.ndarray] = []

    def configure(self, recipe: Any, context: Any) -> Any:
        return recipe.with_hook(lambda view: self.seen.append(view.losses()))


@pytest.mark.parametrize("unbiased", [False, True])
def test_learns_and_sees_every_example(play: Any, unbiased: bool) -> None:
    watch = Losses()
    played = play(NoisyLabelsDigits(noise=0.0), LossProportional(tau=0.5, unbiased=unbiased), watch)
    assert played.values["accuracy"] > 0.9
    assert len(watch.seen) == 12
    assert watch.seen[0].shape == (1200,)
    assert watch.seen[-1].mean() < watch.seen[0].mean()


def test_draws_more_of_what_is_hard(play: Any) -> None:
    """With wrong labels, which keep a large loss, drawing by the loss fits more of them than shuffling."""
    task = NoisyLabelsDigits(noise=0.3, regime="R2")
    by_loss = play(task, LossProportional(tau=1.0)).values["train-fit-flipped"]
    assert by_loss > play(task).values["train-fit-flipped"]


@pytest.mark.parametrize(("task", "steps"), [(NoisyLabelsDigits(), 60), (LongtailDigits(), 9)])
def test_stacked_seeds_equal_the_loop(bench: Any, task: Any, steps: int) -> None:
    requests = []
    for seed in (0, 1):
        problem, _ = task.prepare("smoke", seed)
        context = bench.context(task, problem, "smoke", seed, "float64")
        requests.append(Request(seed, LossProportional().configure(task.recipe(problem), context), steps=steps))
    stacked, looped = (train(requests, mapping, precision="float64") for mapping in ("vmap", "loop"))
    assert [result.mapping for result in stacked] == ["vmap", "vmap"]
    for one, other in zip(stacked, looped, strict=True):
        assert one.trained is not None
        assert other.trained is not None
        for name, value in one.trained.weights["model"].items():
            np.testing.assert_allclose(value, other.trained.weights["model"][name], rtol=1e-9, atol=1e-11)


def test_longtail_learns_the_head_first(play: Any) -> None:
    task = LongtailDigits()
    found = [play(task, seed=seed) for seed in (0, 1)]
    for played in found:
        assert played.values["balanced-accuracy"] > 0.3
        assert played.values["accuracy-many"] > 0.9
        assert played.values["accuracy-few"] < 0.5
    assert not same(found[0].outputs, found[1].outputs)
    assert same(found[0].outputs, play(task, seed=0).outputs)


def test_class_weights_help_the_tail(play: Any) -> None:
    task = LongtailDigits()
    weighted = play(task, Focal(gamma=0.0, alpha="inverse-frequency")).values
    assert weighted["accuracy-few"] > play(task).values["accuracy-few"] + 0.2


def test_longtail_trains_on_augmented_images(play: Any) -> None:
    class Plain(RecipeChange):
        def configure(self, recipe: Any, context: Any) -> Any:
            return recipe.with_source("labelled", view="")

    class Still(RecipeChange):
        def configure(self, recipe: Any, context: Any) -> Any:
            return recipe.replace(views={"shifted": ShiftNoise(pixels=0, std=0.0)})

    task = LongtailDigits()
    assert not same(play(task).outputs, play(task, Plain()).outputs)
    assert same(play(task, Still()).outputs, play(task, Plain()).outputs)
