"""The metrics of `metrics.py` as tasks score them: `f(outputs, hidden)`.

`outputs` holds "probabilities" or "logits" (n, K), `hidden` holds "labels" (n,). Negative log-likelihood is taken from
logits where they are given, so that it is exact however small a probability is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from harness import HarnessError
from harness_calibration import metrics
from harness_calibration.metrics import Array

Arrays = Mapping[str, Array]


def probabilities_of(outputs: Arrays) -> Array:
    """The probabilities that a predictor gave, or the softmax of its logits."""
    if "probabilities" in outputs:
        return np.asarray(outputs["probabilities"], dtype=np.float64)
    if "logits" in outputs:
        return metrics.softmax(outputs["logits"])
    raise HarnessError(f"outputs need 'probabilities' or 'logits'; given: {', '.join(sorted(outputs)) or 'nothing'}")


def accuracy(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.accuracy`."""
    return metrics.accuracy(probabilities_of(outputs), hidden["labels"])


def ece(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.ece` with 15 bins."""
    return metrics.ece(probabilities_of(outputs), hidden["labels"])


def mce(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.mce` with 15 bins."""
    return metrics.mce(probabilities_of(outputs), hidden["labels"])


def class_wise_ece(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.class_wise_ece` with 15 bins."""
    return metrics.class_wise_ece(probabilities_of(outputs), hidden["labels"])


def adaptive_ece(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.adaptive_ece` with 15 groups of equal size."""
    return metrics.adaptive_ece(probabilities_of(outputs), hidden["labels"])


def brier(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.brier`, summed over classes."""
    return metrics.brier(probabilities_of(outputs), hidden["labels"])


def aurc(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.aurc`."""
    return metrics.aurc(probabilities_of(outputs), hidden["labels"])


def auroc(outputs: Arrays, hidden: Arrays) -> float:
    """`metrics.auroc` of confidence for being right."""
    return metrics.auroc(probabilities_of(outputs), hidden["labels"])


def nll(outputs: Arrays, hidden: Arrays) -> float:
    """Mean of -log p_iy in nats, exact for logits, `metrics.nll` for probabilities."""
    labels = hidden["labels"]
    if "probabilities" in outputs:
        return metrics.nll(outputs["probabilities"], labels)
    return float(-metrics.log_softmax(outputs["logits"])[np.arange(len(labels)), labels].mean())
