"""Inverse-frequency weights of the focal loss."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from harness_losses.focal import Focal

from harness import FunctionLoss, HarnessError, Network, Optimizer, Recipe, Source


def recipe(y: Any, index: Any = None) -> Recipe:
    return Recipe(
        networks={"model": Network(torch.nn.Linear)},
        sources={"labelled": Source(np.zeros((len(y), 2), np.float32), y, index=index)},
        terms={"loss": FunctionLoss(F.cross_entropy)},
        optimizers=(("*", Optimizer(torch.optim.SGD, {"lr": 0.1})),),
        steps=1,
    )


def configured(y: list[int], context: Any, index: Any = None) -> Focal:
    focal = Focal(gamma=0.0, alpha="inverse-frequency")
    assert focal.configure(recipe(np.array(y), index), context).terms["loss"] is focal
    return focal


def test_weights_from_the_training_labels(context: SimpleNamespace) -> None:
    focal = configured([0, 0, 0, 0, 1, 1, 2, 3], context)
    np.testing.assert_allclose(focal.class_weights, [0.4, 0.8, 1.6, 1.6, 0.0], rtol=1e-6)
    # mean 1 over the training examples of the five-class problem, but for the class that is missing
    assert focal.class_weights is not None
    mean = focal.class_weights[torch.tensor([0, 0, 0, 0, 1, 1, 2, 3])].mean()
    assert mean == pytest.approx(4 / 5)
    assert "class_weights" in dict(focal.named_buffers())


def test_only_the_examples_of_the_index_count(context: SimpleNamespace) -> None:
    focal = configured([0, 0, 0, 0, 1, 2, 3, 4], context, index=np.array([3, 4, 5, 6, 7]))
    np.testing.assert_allclose(focal.class_weights, np.ones(5))


def test_weighted_cross_entropy_at_gamma_zero(context: SimpleNamespace) -> None:
    focal = configured([0, 0, 1, 2, 3, 4], context)
    logits = torch.randn(9, 5, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 0, 1, 2, 3, 4, 0, 1, 2])
    wanted = F.cross_entropy(logits, target, weight=focal.class_weights, reduction="none")
    torch.testing.assert_close(focal(logits, target), wanted)
    torch.testing.assert_close(focal(logits, F.one_hot(target, 5).float()), wanted)


def test_stacked_with_other_weights_for_every_seed(context: SimpleNamespace) -> None:
    focals = [configured([0, 0, 1, 2, 3, 4], context), configured([0, 1, 1, 1, 3, 4], context)]
    logits = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(0))
    target = torch.randint(0, 4, (2, 6), generator=torch.Generator().manual_seed(1))
    buffers = {"class_weights": torch.stack([f.class_weights for f in focals])}  # type: ignore[misc]
    stacked = torch.func.vmap(lambda b, f, y: torch.func.functional_call(focals[0], b, (f, y)))(buffers, logits, target)
    for i, focal in enumerate(focals):
        torch.testing.assert_close(stacked[i], focal(logits[i], target[i]))


def test_needs_class_numbers(context: SimpleNamespace) -> None:
    focal = Focal(alpha="inverse-frequency")
    with pytest.raises(HarnessError, match="needs class numbers as training labels"):
        focal.configure(recipe(np.zeros((4, 5))), context)
    with pytest.raises(HarnessError, match="after configure"):
        focal(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))
