"""The visible part of a task: what a method may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.interfaces.budget import Budget

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Split:
    """Examples with labels.

    Attributes:
        x: inputs, shape (n, ...).
        y: labels, shape (n, ...), or None where there are none.
        extra: further arrays with one entry an example.
    """

    x: Array
    y: Array | None = None
    extra: Mapping[str, Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Problem:
    """Splits with labels, test inputs without, and what the data are.

    Attributes:
        kind: "classification", "regression", "tensors", "search", ...; a free word that methods may check.
        splits: "train" and "validation" by convention; unlabelled data are a split with y = None.
        inputs: test inputs by name, each (n, ...); their labels are hidden.
        classes: number of classes, 0 where it makes no sense.
        budget: what one trial may spend.
        info: further settings as plain JSON values.
    """

    kind: str
    splits: Mapping[str, Split] = field(default_factory=dict)
    inputs: Mapping[str, Array] = field(default_factory=dict)
    classes: int = 0
    budget: Budget = field(default_factory=Budget)
    info: Mapping[str, Any] = field(default_factory=dict)

    @property
    def train(self) -> Split:
        return self.splits["train"]

    @property
    def validation(self) -> Split:
        return self.splits["validation"]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one training input."""
        return tuple(self.train.x.shape[1:])
