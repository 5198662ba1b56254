"""The reference of quantization boards: weights as they were trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Transform

if TYPE_CHECKING:
    from harness import Context, Problem, Trained


class FullPrecision(Transform):
    """Changes nothing: what the model gives before quantization."""

    def transform(self, trained: Trained, problem: Problem, context: Context) -> Trained:
        return trained
