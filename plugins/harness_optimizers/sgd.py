"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from harness import HarnessError, checked_number
from harness_optimizers.exchange import ExchangeOptimizer


class SGD(ExchangeOptimizer):
    """v <- momentum v + g + weight_decay w; w <- w - lr v (Nesterov: w <- w - lr (g + weight_decay w + momentum v)).

    With no parameters, on a task that trains with SGD and momentum 0.9 itself, it changes nothing.

    Args:
        lr: learning rate, > 0; None keeps the task's, or is 0.01 where the task does not train with SGD.
        momentum: in [0, 1).
        weight_decay: >= 0, as a term of the gradient; None keeps the task's.
        nesterov: Nesterov's form of the step; needs momentum > 0.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning, ICML 2013, in
    torch's form, where the learning rate stands outside the momentum.
    """

    factory = torch.optim.SGD
    family = (torch.optim.SGD,)
    usual_lr = 0.01
    space: ClassVar[dict[str, Any]] = {"lr": (1e-3, 1.0, "log")}

    def __init__(
        self,
        lr: float | None = None,
        momentum: float = 0.9,
        weight_decay: float | None = None,
        nesterov: bool = False,
    ) -> None:
        super().__init__(lr, weight_decay)
        self.momentum = checked_number("sgd", "momentum", momentum, 0, 1, high_open=True)
        if nesterov not in (True, False) or (nesterov and self.momentum == 0):
            raise HarnessError(f"sgd: nesterov = {nesterov!r} is not accepted: true (with momentum > 0) or false")
        self.nesterov = bool(nesterov)

    def options(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "nesterov": self.nesterov} if self.nesterov else {"momentum": self.momentum}
