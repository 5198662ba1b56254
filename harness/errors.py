"""Errors that a person can cause: one line that says what was given, what is accepted, and the nearest valid name.

The command line prints them without a traceback and exits with `exit_code`; everything else is a defect of ours and
shows its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HarnessError(Exception):
    """A request that cannot be carried out; its text is the whole message for the user."""

    exit_code = 2


class UnknownName(HarnessError):
    """A name that nothing declares.

    Args:
        kind: what was looked for, in the singular ("method", "task", "parameter of focal").
        given: the name as the user wrote it.
        known: the names that exist; the nearest one is offered, and all of them when they are few.
    """

    def __init__(self, kind: str, given: str, known: Iterable[str]) -> None:
        names = sorted(set(known))
        message = f"unknown {kind} '{given}'"
        near = nearest(given, names)
        if near:
            message += f"; did you mean '{near}'?"
        if not names:
            message += "; there are none"
        elif len(names) <= 12 or not near:
            shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
            message += f" (known: {shown})" if near else f"; known: {shown}"
        super().__init__(message)
        self.given = given
        self.near = near


def nearest(given: str, names: Iterable[str]) -> str | None:
    """The name most like `given`, or None when nothing comes close."""
    found = difflib.get_close_matches(given, list(names), n=1, cutoff=0.6)
    return found[0] if found else None
