"""What a trial may spend, and what it has spent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """The limits of one trial, equal for all methods of a task; None leaves a quantity free.

    Attributes:
        steps: optimizer steps.
        examples: training examples passed through a network, repeats counted.
        gradients: gradient evaluations of the objective (a two-step rule counts two a step).
    """

    steps: int | None = None
    examples: int | None = None
    gradients: int | None = None


@dataclass
class Spent:
    """Counters of one trial, kept by the trainer and the context."""

    steps: int = 0
    examples: int = 0
    gradients: int = 0
    fit_seconds: float = 0.0
    artifact_seconds: float = 0.0
