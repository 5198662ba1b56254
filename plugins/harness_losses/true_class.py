"""Losses that are a function of the probability of the true class."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from harness import Loss
from harness_losses.checks import hard


class TrueClassLoss(Loss):
    """A loss g(log p_y), where p = softmax(logits); for a target distribution t its mean sum_k t_k g(log p_k)."""

    vectorizable: ClassVar[bool] = True
    name: ClassVar[str] = ""

    @abstractmethod
    def of_log_probability(self, log_p: Tensor) -> Tensor:
        """g, entry by entry; log_p <= 0 is finite for finite logits."""

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        is_hard = hard(self.name, logits, target)
        log_p = torch.log_softmax(logits, dim=-1)
        if is_hard:
            return self.of_log_probability(log_p.gather(-1, target.long().unsqueeze(-1)).squeeze(-1))
        return (target * self.of_log_probability(log_p)).sum(-1)
