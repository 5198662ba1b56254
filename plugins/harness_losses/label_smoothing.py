"""Cross-entropy with smoothed labels."""

from __future__ import annotations

from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from harness import Loss, checked_number
from harness_losses.checks import hard


class LabelSmoothing(Loss):
    """Cross-entropy with the target distribution (1 - smoothing) * onehot(y) + smoothing / K.

    With smoothing = 0 it is cross-entropy, bit for bit.

    Args:
        smoothing: mass that is spread over all classes, in [0, 1].

    Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016, section 7.
    """

    vectorizable: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"smoothing": (0.0, 0.5)}

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__()
        self.smoothing = checked_number("label-smoothing", "smoothing", smoothing, 0, 1)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        hard("label-smoothing", logits, target)
        return F.cross_entropy(logits, target, reduction="none", label_smoothing=self.smoothing)
