"""A step, a recipe and a context without a trainer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from harness import Batch, Output


class FakeStep:
    """One step of one seed, with a per-example memory for each name."""

    def __init__(self, logits: Tensor, target: Tensor, ids: Tensor, memory: dict[str, Tensor]) -> None:
        self.batch = {"labelled": Batch(torch.zeros(len(ids), 1), target, ids)}
        self.logits = logits
        self.memory = memory

    def output(self, network: str = "model", source: str = "labelled", view: str = "") -> Output:
        assert (network, source, view) == ("model", "labelled", "")
        return Output(self.logits)

    def state(self, name: str) -> Tensor:
        return self.memory[name][self.batch["labelled"].ids].clone()

    def write(self, name: str, value: Tensor) -> None:
        self.memory[name][self.batch["labelled"].ids] = value.detach()


@pytest.fixture
def fake_step() -> type[FakeStep]:
    return FakeStep


@pytest.fixture
def context() -> SimpleNamespace:
    return SimpleNamespace(problem=SimpleNamespace(classes=5))
