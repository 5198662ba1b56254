"""Values of parameters: whether one is what a schema wants, and how it is written."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from harness.describe.description import type_name
from harness.errors import HarnessError, UnknownName

_KEY = re.compile(r"[A-Za-z_]\w*")
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./:-]*")
_CONSTANTS = ("true", "false", "none", "null")


def check_value(value: Any, schema: Mapping[str, Any], what: str, strict: bool = True) -> Any:
    """`value` as the schema wants it: an integer becomes a float where a number is meant, a tuple a list.

    Args:
        strict: False takes a value of another type as it is (a default that contradicts its annotation).

    Raises:
        HarnessError: it is of another type.
    """
    if value is None and (schema.get("nullable") or schema["type"] in ("any", "null")):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise HarnessError(f"{what}: numbers are finite, got {value!r}")
    kind = schema["type"]
    if kind == "union":
        return _check_union(value, schema, what, strict)
    if kind == "enum":
        if value is None and "none" in schema["enum"]:  # an unquoted none, where the word is a choice
            return "none"
        match = [option for option in schema["enum"] if option == value and type(option) is type(value)]
        if match:
            return match[0]
        if strict and isinstance(value, str):
            raise UnknownName(f"value of {what}", value, [str(option) for option in schema["enum"]])
    elif kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif kind == "array" and isinstance(value, list | tuple):
        return [check_value(item, schema.get("items") or {"type": "any"}, what, strict) for item in value]
    elif kind in ("any", "object") and isinstance(value, Mapping):
        return {str(key): check_value(item, {"type": "any"}, what, strict) for key, item in value.items()}
    elif kind == "string" and value is None:  # an unquoted none, where text is meant
        return "none"
    elif _matches(value, kind):
        return list(value) if isinstance(value, tuple) else value
    if not strict:
        return value
    article = "an" if kind in ("integer", "array", "object") else "a"
    words = type_name(schema)
    raise HarnessError(f"{what}: expected {words if ' ' in words else f'{article} {words}'}, got {_show(value)}")


def _check_union(value: Any, schema: Mapping[str, Any], what: str, strict: bool) -> Any:
    for option in schema["anyOf"]:
        try:
            return check_value(value, option, what)
        except HarnessError:
            continue
    if not strict:
        return value
    raise HarnessError(f"{what}: expected {type_name(schema)}, got {_show(value)}")


def _matches(value: Any, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    return kind == "any" and (value is None or isinstance(value, bool | int | float | str | list | tuple))


def _show(value: Any) -> str:
    return repr(value) if isinstance(value, str) else format_value(value)


def format_value(value: Any) -> str:
    """A value as `parse_value` reads it; numbers keep every digit."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        plain = _PLAIN_WORD.fullmatch(value) and value.lower() not in _CONSTANTS
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = (f"{k if _KEY.fullmatch(k) else json.dumps(k)}={format_value(v)}" for k, v in value.items())
        return "{" + ",".join(pairs) + "}"
    return "(" + ",".join(format_value(item) for item in value) + ")"
