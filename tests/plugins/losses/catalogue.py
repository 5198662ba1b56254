"""Every loss of the package that is a function of logits and target, with settings that reach all of its branches."""

from __future__ import annotations

from typing import Any

from harness_losses.cross_entropy import CrossEntropy
from harness_losses.focal import Focal
from harness_losses.gce import GCE, MAE
from harness_losses.label_smoothing import LabelSmoothing
from harness_losses.ldr import LDRKL

from harness import Loss

CLASSES: dict[str, type[Loss]] = {
    "cross-entropy": CrossEntropy,
    "focal": Focal,
    "gce": GCE,
    "mae": MAE,
    "label-smoothing": LabelSmoothing,
    "ldr-kl": LDRKL,
}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("cross-entropy", {}),
    ("focal", {}),
    ("focal", {"gamma": 0.0}),
    ("focal", {"gamma": 0.5}),
    ("gce", {}),
    ("gce", {"q": 0.0}),
    ("gce", {"q": 1e-6}),
    ("mae", {}),
    ("label-smoothing", {}),
    ("ldr-kl", {}),
    ("ldr-kl", {"lam": 0.1, "normalize": "l1"}),
    ("ldr-kl", {"lam": 1e-3, "normalize": "none"}),
]


def make(name: str, params: dict[str, Any]) -> Loss:
    return CLASSES[name](**params)
