"""Adam and AdamW."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from harness import checked_number
from harness_optimizers.exchange import ExchangeOptimizer


class Adam(ExchangeOptimizer):
    """w <- w - lr m / (sqrt(v) + eps), with bias-corrected running means m of g and v of g^2, g with weight_decay w.

    Args:
        lr: learning rate, > 0; None keeps the task's, or is 0.001 where the task does not train with Adam or AdamW.
        beta1, beta2: decay of the two running means, in [0, 1).
        eps: > 0.
        weight_decay: >= 0, as a term of the gradient; None keeps the task's.

    Source: Kingma and Ba, Adam: A Method for Stochastic Optimization, ICLR 2015, algorithm 1.
    """

    factory: ClassVar[type[torch.optim.Optimizer]] = torch.optim.Adam
    family = (torch.optim.Adam, torch.optim.AdamW)
    usual_lr = 1e-3
    space: ClassVar[dict[str, Any]] = {"lr": (1e-4, 1e-1, "log")}

    def __init__(
        self,
        lr: float | None = None,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay)
        method = type(self).__name__.lower()
        self.beta1 = checked_number(method, "beta1", beta1, 0, 1, high_open=True)
        self.beta2 = checked_number(method, "beta2", beta2, 0, 1, high_open=True)
        self.eps = checked_number(method, "eps", eps, 0, low_open=True)

    def options(self) -> dict[str, Any]:
        return {"betas": (self.beta1, self.beta2), "eps": self.eps}


class AdamW(Adam):
    """Adam whose weight decay is a step of its own: w <- (1 - lr weight_decay) w, before the step along m / sqrt(v).

    Args:
        lr: learning rate, > 0; None keeps the task's, or is 0.001 where the task does not train with Adam or AdamW.
        beta1, beta2: decay of the two running means, in [0, 1).
        eps: > 0.
        weight_decay: >= 0; None keeps the task's number, as for the other optimizers (not torch's 0.01).

    Source: Loshchilov and Hutter, Decoupled Weight Decay Regularization, ICLR 2019, in torch's form, where the decay
    is multiplied by the learning rate.
    """

    factory = torch.optim.AdamW
