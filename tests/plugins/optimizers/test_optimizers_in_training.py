"""Optimizers in real trainings on `noisy-labels-digits` at scale smoke."""

from typing import Any

import pytest
from harness_losses.noisy_labels_digits import NoisyLabelsDigits
from harness_optimizers.adam import Adam, AdamW
from harness_optimizers.sgd import SGD


def test_sgd_without_parameters_equals_the_task_s_own_training_bit_for_bit(play: Any) -> None:
    task = NoisyLabelsDigits()
    plain, outputs = play(task).outputs, play(task, SGD()).outputs
    assert all(outputs[name].tobytes() == plain[name].tobytes() for name in plain)


@pytest.mark.parametrize("method", [Adam, AdamW, lambda: SGD(momentum=0.5, nesterov=True)])
def test_learns_on_two_seeds(play: Any, method: Any) -> None:
    task = NoisyLabelsDigits(noise=0.0)
    for seed in (0, 1):
        assert play(task, method(), seed=seed).values["accuracy"] > 0.8


def test_adam_and_adamw_differ_by_the_decay_only(play: Any) -> None:
    task = NoisyLabelsDigits(noise=0.0)
    for decay, equal in ((0.0, True), (0.1, False)):
        first, second = (play(task, method(weight_decay=decay)).outputs["scores"] for method in (Adam, AdamW))
        assert (first.tobytes() == second.tobytes()) is equal
