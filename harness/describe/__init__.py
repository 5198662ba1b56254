"""What a target says of itself, read in a process that may import it."""

from harness.describe.description import Description, MethodDescription, Parameter, TaskDescription
from harness.describe.descriptions import Undescribed, describe, describe_all, require

__all__ = [
    "Description",
    "MethodDescription",
    "Parameter",
    "TaskDescription",
    "Undescribed",
    "describe",
    "describe_all",
    "require",
]
