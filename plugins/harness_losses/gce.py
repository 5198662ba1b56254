"""Generalized cross-entropy and its limit, the mean absolute error."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from harness import checked_number
from harness_losses.true_class import TrueClassLoss


class GCE(TrueClassLoss):
    """Generalized cross-entropy L = (1 - p_y^q) / q with p = softmax(logits).

    Computed as -expm1(q log p_y) / q, which keeps its digits for small q. At q = 0 it is cross-entropy (the limit),
    at q = 1 it is `mae`.

    Args:
        q: in [0, 1]; larger values weigh examples with small p_y (often the mislabelled ones) less.

    Source: Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels,
    NeurIPS 2018, equation 6 (without the truncation). The grid is that of paper zhu2023label.
    """

    name: ClassVar[str] = "gce"
    space: ClassVar[dict[str, Any]] = {"q": [0.05, 0.7, 0.95]}

    def __init__(self, q: float = 0.7) -> None:
        super().__init__()
        self.q = checked_number("gce", "q", q, 0, 1)

    def of_log_probability(self, log_p: Tensor) -> Tensor:
        if self.q == 0:
            return -log_p
        return -torch.expm1(self.q * log_p) / self.q


class MAE(TrueClassLoss):
    """L = 1 - p_y with p = softmax(logits): half the absolute difference between softmax and one-hot label.

    Source: Ghosh et al., Robust Loss Functions under Label Noise for Deep Neural Networks, AAAI 2017, there with
    factor 2.
    """

    name: ClassVar[str] = "mae"

    def of_log_probability(self, log_p: Tensor) -> Tensor:
        return -torch.expm1(log_p)
