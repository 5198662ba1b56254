"""Makes golden.json: calibration metrics by implementations that share nothing with ours.

Run by hand: python tests/plugins/calibration/make_golden.py. Sources: torchmetrics (ECE, MCE), scikit-learn (negative
log-likelihood, Brier score, AUROC), plain loops written from the definitions (class-wise and adaptive ECE, AURC).
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score
from torchmetrics.classification import MulticlassCalibrationError

FILE = Path(__file__).with_name("golden.json")


def case(seed: int, n: int, classes: int, sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits in float64 and labels that the logits know something about."""
    random = np.random.default_rng(seed)
    logits = sharpness * random.standard_normal((n, classes))
    labels = (logits + 2.0 * random.gumbel(size=logits.shape)).argmax(axis=1)
    return logits, labels


def class_wise(p: np.ndarray, y: np.ndarray) -> float:
    total = 0.0
    for k in range(p.shape[1]):
        for b in range(15):
            inside = [i for i in range(len(y)) if b / 15 < p[i, k] <= (b + 1) / 15]
            if inside:
                gap = sum(float(y[i] == k) for i in inside) / len(inside) - sum(p[i, k] for i in inside) / len(inside)
                total += len(inside) / len(y) * abs(gap)
    return total / p.shape[1]


def adaptive(p: np.ndarray, y: np.ndarray) -> float:
    ranked = sorted(range(len(y)), key=lambda i: p[i].max())
    sizes = [len(y) // 15 + (1 if b < len(y) % 15 else 0) for b in range(15)]
    total, start = 0.0, 0
    for size in sizes:
        group = ranked[start : start + size]
        start += size
        if size:
            right = sum(float(p[i].argmax() == y[i]) for i in group) / size
            total += size / len(y) * abs(right - sum(p[i].max() for i in group) / size)
    return total


def risk_coverage(p: np.ndarray, y: np.ndarray) -> float:
    ranked = sorted(range(len(y)), key=lambda i: -p[i].max())
    wrong, area = 0, 0.0
    for position, i in enumerate(ranked, start=1):
        wrong += int(p[i].argmax() != y[i])
        area += wrong / position
    return area / len(y)


def answers(logits: np.ndarray, y: np.ndarray) -> dict[str, float]:
    p = torch.softmax(torch.tensor(logits), dim=1).numpy()
    classes = p.shape[1]
    labels = list(range(classes))

    def binned(norm: str) -> float:
        metric = MulticlassCalibrationError(num_classes=classes, n_bins=15, norm=norm)
        return float(metric(torch.tensor(p), torch.tensor(y)))

    right = p.argmax(axis=1) == y
    return {
        "ece": binned("l1"),
        "mce": binned("max"),
        "class_wise_ece": class_wise(p, y),
        "adaptive_ece": adaptive(p, y),
        "nll": float(log_loss(y, p, labels=labels)),
        "brier": float(brier_score_loss(y, p, labels=labels, scale_by_half=False)),
        "aurc": risk_coverage(p, y),
        "auroc": float(roc_auc_score(right, p.max(axis=1))),
        "accuracy": float(accuracy_score(y, p.argmax(axis=1))),
    }


if __name__ == "__main__":
    settings = [(0, 500, 10, 2.0), (1, 137, 3, 1.0), (2, 1000, 5, 6.0), (3, 40, 2, 0.5)]
    cases = []
    for setting in settings:
        values = answers(*case(*setting))
        if not all(math.isfinite(value) for value in values.values()):
            raise SystemExit(f"case {setting} has a value that is not finite")
        cases.append({"case": list(setting), "values": values})
    FILE.write_text(json.dumps(cases, indent=1) + "\n")
