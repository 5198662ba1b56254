"""How training can fail by itself; imports nothing heavy."""

from __future__ import annotations


class Diverged(Exception):
    """The loss or a weight of a seed is not finite any more.

    Attributes:
        step: optimizer steps taken before the first such value.
    """

    def __init__(self, step: int, what: str = "the loss") -> None:
        super().__init__(f"{what} became infinite or NaN at step {step}")
        self.step = step
        self.what = what

    def __reduce__(self) -> tuple[type[Diverged], tuple[int, str]]:
        return type(self), (self.step, self.what)
