"""Calibration metrics of a classifier: pure functions of probabilities (n, K) and labels (n,), in float64.

Definitions follow the shared settings of the calibration boards: confidence is the largest probability of a row, its
class the first one that attains it. Bins are (lo, hi] and of equal width unless said; empty bins count nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from harness import HarnessError

Array = np.ndarray[Any, Any]
BINS = 15


def softmax(logits: Array) -> Array:
    """Probabilities of logits (n, K), in float64."""
    return np.exp(log_softmax(logits))


def log_softmax(logits: Array) -> Array:
    """Logarithms of the probabilities of logits (n, K), in float64."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = shifted - shifted.max(axis=1, keepdims=True)
    normalised: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def accuracy(probabilities: Array, labels: Array) -> float:
    """Share of rows whose largest entry is at the label."""
    _, right = _confidence(probabilities, labels)
    return float(right.mean())


def ece(probabilities: Array, labels: Array, bins: int = BINS) -> float:
    """Expected calibration error: sum over bins of (n_b / n) |accuracy_b - confidence_b|, top label, equal widths."""
    return float(np.sum(_gaps(*_confidence(probabilities, labels), bins)[0]))


def mce(probabilities: Array, labels: Array, bins: int = BINS) -> float:
    """Maximum calibration error: the largest |accuracy_b - confidence_b| over the non-empty bins of `ece`."""
    weighted, shares = _gaps(*_confidence(probabilities, labels), bins)
    filled = shares > 0
    return float(np.max(weighted[filled] / shares[filled]))


def class_wise_ece(probabilities: Array, labels: Array, bins: int = BINS) -> float:
    """Mean over all K classes of the binned error of p_ik against 1[y_i = k].

    A class without a test label counts like any other; an entry of exactly 0 lies in no bin.
    """
    p, y = _checked(probabilities, labels)
    each = [np.sum(_gaps(p[:, k], (y == k).astype(np.float64), bins)[0]) for k in range(p.shape[1])]
    return float(np.mean(each))


def adaptive_ece(
    probabilities: Array, labels: Array, bins: int = BINS, edges: Literal["equal-mass", "interp"] = "equal-mass"
) -> float:
    """Calibration error over groups of equal size.

    Args:
        edges: "equal-mass" sorts by confidence (stable) and cuts into consecutive groups whose sizes differ by at most
            1, the first n mod `bins` ones being larger. "interp" takes the sorted confidences, interpolated at
            i n / bins, as edges of bins (lo, hi]; it loses the smallest confidence and serves only to compare with
            tables of papers that were made this way.
    """
    confidence, right = _confidence(probabilities, labels)
    n = len(confidence)
    if edges == "interp":
        cuts = np.interp(np.linspace(0, n, bins + 1), np.arange(n), np.sort(confidence))
        return float(np.sum(_between(confidence, right, cuts)[0]))
    if edges != "equal-mass":
        raise HarnessError(f"unknown edges '{edges}'; known: equal-mass, interp")
    order = np.argsort(confidence, kind="stable")
    gaps = [abs(right[group].sum() - confidence[group].sum()) / n for group in np.array_split(order, bins)]
    return float(np.sum(gaps))


def nll(probabilities: Array, labels: Array) -> float:
    """Mean of -log p_iy in nats; probabilities below 2.2e-16 (float64's epsilon) count as that."""
    p, y = _checked(probabilities, labels)
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], np.finfo(np.float64).eps)).mean())


def brier(probabilities: Array, labels: Array) -> float:
    """Mean over rows of the sum over classes of (p_ik - 1[y_i = k])^2, in [0, 2]."""
    p, y = _checked(probabilities, labels)
    return float(np.mean(np.sum(p**2, axis=1) - 2 * p[np.arange(len(y)), y] + 1))


def aurc(probabilities: Array, labels: Array) -> float:
    """Area under the risk-coverage curve: the mean over i of the error rate among the i most confident rows.

    Ties are ordered by a stable ascending sort, reversed.
    """
    confidence, right = _confidence(probabilities, labels)
    wrong = 1.0 - right[np.argsort(confidence, kind="stable")[::-1]]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(wrong) + 1)))


def auroc(probabilities: Array, labels: Array) -> float:
    """Area under the ROC curve of confidence as a score for being right; ties count half.

    It is 0.5 where all rows are right or all are wrong: there is then nothing to separate.
    """
    confidence, right = _confidence(probabilities, labels)
    positives = float(right.sum())
    negatives = len(right) - positives
    if positives == 0 or negatives == 0:
        return 0.5
    _, place, counts = np.unique(confidence, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2.0
    above = float(ranks[place.ravel()][right == 1].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def _checked(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    p = np.asarray(probabilities, dtype=np.float64)
    y = np.asarray(labels)
    if p.ndim != 2 or y.shape != (len(p),) or len(p) == 0:
        raise HarnessError(f"probabilities (n, K) and labels (n,) are needed, n > 0; given {p.shape} and {y.shape}")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= p.shape[1]:
        raise HarnessError(f"labels must be integers from 0 to {p.shape[1] - 1}")
    if not np.isfinite(p).all() or p.min() < 0 or p.max() > 1 + 1e-6:
        raise HarnessError("probabilities must be finite and lie in [0, 1]; give logits through softmax first")
    if np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise HarnessError("each row of probabilities must sum to 1")
    return p, y


def _confidence(probabilities: Array, labels: Array) -> tuple[Array, Array]:
    p, y = _checked(probabilities, labels)
    return p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64)


def _gaps(confidence: Array, outcome: Array, bins: int) -> tuple[Array, Array]:
    return _between(confidence, outcome, np.linspace(0.0, 1.0, bins + 1))


def _between(confidence: Array, outcome: Array, edges: Array) -> tuple[Array, Array]:
    """For each bin (lo, hi]: (n_b / n) |outcome_b - confidence_b|, and n_b / n."""
    bins = len(edges) - 1
    place = np.searchsorted(edges, confidence, side="left") - 1
    # Rounding can lift the top of a distribution a hair above 1.
    place = np.where((place == bins) & (confidence <= edges[-1] + 1e-6), bins - 1, place)
    inside = (place >= 0) & (place < bins)
    place, confidence, outcome = place[inside], confidence[inside], outcome[inside]
    n = len(inside)
    gap = np.bincount(place, weights=outcome - confidence, minlength=bins)
    return np.abs(gap) / n, np.bincount(place, minlength=bins) / n
