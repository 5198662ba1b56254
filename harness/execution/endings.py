"""What the driver makes of the endings of calls."""

from __future__ import annotations

from harness.execution.isolation import Ending

DIED = ("timeout", "oom", "crashed")


class Interrupted(Exception):
    """The study is being ended; the group leaves no rows."""


def checked(ending: Ending) -> Ending:
    """The ending itself.

    Raises:
        Interrupted: the call was stopped because the study is being ended.
    """
    if ending.status == "interrupted":
        raise Interrupted
    return ending
