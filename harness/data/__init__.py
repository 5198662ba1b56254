"""Data sets and generators that tasks build on: pure functions of arrays and a numpy generator.

Names load on first use; `from harness.data import digits` imports numpy and nothing heavier.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.data.digits import digits as digits
    from harness.data.imbalance import longtail_counts as longtail_counts
    from harness.data.imbalance import take_per_class as take_per_class
    from harness.data.label_noise import other_classes as other_classes
    from harness.data.label_noise import pair_noise as pair_noise
    from harness.data.label_noise import symmetric_noise as symmetric_noise
    from harness.data.splits import stratified_split as stratified_split

_HOME = {
    "digits": "digits",
    "longtail_counts": "imbalance",
    "take_per_class": "imbalance",
    "other_classes": "label_noise",
    "pair_noise": "label_noise",
    "symmetric_noise": "label_noise",
    "stratified_split": "splits",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'harness.data' has no attribute '{name}'")
    value = getattr(importlib.import_module(f"harness.data.{_HOME[name]}"), name)
    globals()[name] = value
    return value
