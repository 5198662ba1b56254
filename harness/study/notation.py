"""How methods, pipelines and task variants are written: `focal[gamma=2.0]`, `mixup+temperature`, `other-dist/gce`,
`noisy-labels-digits[noise=0.6,kind=pair]`, `longtail-digits[steep]` (a preset).

Values are numbers, `true`, `false`, `none`, text (quoted where it is not a plain word), lists `(1,2)` or `[1,2]`, and
tables `{a=1}`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.describe.description import Parameter, TaskDescription, type_name
from harness.errors import HarnessError, UnknownName

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
_KEY = re.compile(r"[A-Za-z_]\w*")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_WORD = re.compile(r"[^\s,=\[\](){}\"'+][^\s,=\[\](){}\"']*")
_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./:-]*")
_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}
_CLOSES = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Stage:
    """A name with settings, as written.

    Attributes:
        params: what was set, by name.
        words: what stands in brackets without a name (the preset of a task).
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()


def parse_pipeline(text: str) -> tuple[Stage, ...]:
    """The stages of `a+b[x=1]`.

    Raises:
        HarnessError: the text is not well formed; it says where.
    """
    reader = _Reader(text, "pipeline")
    stages = [reader.stage()]
    while reader.take("+"):
        stages.append(reader.stage())
    reader.end()
    for stage in stages:
        if stage.words:
            raise HarnessError(f"pipeline '{text}': '{stage.words[0]}' needs a name, as in {stage.name}[name=value]")
    return tuple(stages)


def parse_task(text: str) -> Stage:
    """A task with its variant: `task`, `task[preset]`, `task[preset,noise=0.6]`.

    Raises:
        HarnessError: the text is not well formed; it says where.
    """
    reader = _Reader(text, "task")
    stage = reader.stage()
    reader.end()
    if len(stage.words) > 1:
        raise HarnessError(f"task '{text}': one preset at most, not {' and '.join(stage.words)}")
    return stage


def parse_value(text: str) -> Any:
    """One value, as it stands after the `=`."""
    reader = _Reader(text, "value")
    value = reader.value()
    reader.end()
    return value


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self.what = what
        self.at = 0

    def fail(self, expected: str) -> HarnessError:
        rest = self.text[self.at :]
        return HarnessError(
            f"{self.what} '{self.text}': expected {expected} at '{rest}'"
            if rest
            else f"{self.what} '{self.text}': expected {expected} at the end"
        )

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def take(self, symbol: str) -> bool:
        self.skip()
        if self.text.startswith(symbol, self.at):
            self.at += len(symbol)
            return True
        return False

    def match(self, pattern: re.Pattern[str]) -> str:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return ""
        self.at = found.end()
        return found.group()

    def end(self) -> None:
        self.skip()
        if self.at < len(self.text):
            raise self.fail("'+', '[' or nothing more" if self.what == "pipeline" else "nothing more")

    def stage(self) -> Stage:
        name = self.match(_NAME)
        if not name:
            raise self.fail("a name")
        params: dict[str, Any] = {}
        words: list[str] = []
        if self.take("[") and not self.take("]"):
            while True:
                self.setting(params, words)
                if self.take("]"):
                    break
                if not self.take(","):
                    raise self.fail("',' or ']'")
        return Stage(name, params, tuple(words))

    def setting(self, params: dict[str, Any], words: list[str] | None) -> None:
        start = self.at
        key = self.match(_KEY)
        if key and self.take("="):
            if key in params:
                raise HarnessError(f"{self.what} '{self.text}': {key} is set twice")
            params[key] = self.value()
            return
        self.at = start
        word = self.match(_WORD) if words is not None else ""
        if words is None or not word:
            raise self.fail("name=value")
        words.append(word)

    def value(self) -> Any:
        self.skip()
        head = self.text[self.at : self.at + 1]
        if head in ('"', "'"):
            return self.quoted(head)
        if head in _CLOSES and head:
            return self.items(_CLOSES[head])
        if head == "{":
            return self.table()
        start = self.at
        number = self.match(_NUMBER)
        word = ""
        if number and _ends(self.text, self.at):
            return int(number) if re.fullmatch(r"[+-]?\d+", number) else _finite(number)
        self.at = start
        word = self.match(_WORD)
        if not word:
            raise self.fail("a value")
        return _CONSTANTS.get(word.lower(), word)

    def quoted(self, mark: str) -> str:
        found = re.compile(rf"{mark}((?:[^{mark}\\]|\\.)*){mark}", re.DOTALL).match(self.text, self.at)
        if found is None:
            raise self.fail(f"a closing {mark}")
        inner = found.group(1)
        if mark == "'":
            inner = inner.replace("\\'", "'").replace('"', '\\"')
        try:
            value = json.loads(f'"{inner}"', strict=False)
        except ValueError:
            raise self.fail("text with the escapes of JSON") from None
        self.at = found.end()
        return str(value)

    def items(self, close: str) -> list[Any]:
        self.at += 1
        found: list[Any] = []
        while not self.take(close):
            found.append(self.value())
            if not self.take(","):
                if self.take(close):
                    break
                raise self.fail(f"',' or '{close}'")
        return found

    def table(self) -> dict[str, Any]:
        self.at += 1
        found: dict[str, Any] = {}
        while not self.take("}"):
            self.skip()
            if self.text[self.at : self.at + 1] == '"':
                key = self.quoted('"')
                if not self.take("="):
                    raise self.fail("'='")
                found[key] = self.value()
            else:
                self.setting(found, None)
            if not self.take(","):
                if self.take("}"):
                    break
                raise self.fail("',' or '}'")
        return found


def _ends(text: str, at: int) -> bool:
    return at == len(text) or text[at].isspace() or text[at] in ",])}"


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise HarnessError(f"{text} is too large for a number")
    return value


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


def format_stage(name: str, params: Mapping[str, Any], words: Sequence[str] = ()) -> str:
    """`name[word,param=value]`; no brackets where there is nothing to say."""
    settings = [*words, *(f"{key}={format_value(value)}" for key, value in params.items())]
    return f"{name}[{','.join(settings)}]" if settings else name


def format_pipeline(stages: Iterable[Stage]) -> str:
    """`a+b[x=1]`."""
    return "+".join(format_stage(stage.name, stage.params, stage.words) for stage in stages)


def coerce(params: Mapping[str, Any], parameters: Sequence[Parameter], name: str) -> dict[str, Any]:
    """All parameters in declared order: those given, checked, and the defaults of the others.

    Args:
        name: of the method or task, for messages.

    Raises:
        UnknownName: there is no such parameter.
        HarnessError: a value has the wrong type, or a parameter without default is missing.
    """
    known = {parameter.name: parameter for parameter in parameters}
    for key in params:
        if key not in known:
            raise UnknownName(f"parameter of {name}", key, known)
    full: dict[str, Any] = {}
    for key, parameter in known.items():
        if key in params:
            full[key] = check_value(params[key], parameter.schema, f"parameter '{key}' of {name}")
        elif parameter.required:
            wanted = parameter.type_name()
            raise HarnessError(f"parameter '{key}' of {name} has no default; give it, as {name}[{key}=...] ({wanted})")
        else:
            full[key] = check_value(parameter.default, parameter.schema, f"the default of '{key}' of {name}", False)
    return full


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


def changed(params: Mapping[str, Any], parameters: Sequence[Parameter], name: str) -> dict[str, Any]:
    """Those of all parameters that differ from their defaults, in declared order."""
    found = {}
    for parameter in parameters:
        value = params[parameter.name]
        if parameter.required:
            found[parameter.name] = value
            continue
        default = check_value(parameter.default, parameter.schema, name, False)
        if value != default or type(value) is not type(default):
            found[parameter.name] = value
    return found


def display(name: str, params: Mapping[str, Any], parameters: Sequence[Parameter]) -> str:
    """The canonical way to write a stage: only what differs from the defaults, in declared order."""
    return format_stage(name, changed(params, parameters, name))


def variant_params(stage: Stage, task: TaskDescription) -> dict[str, Any]:
    """All parameters of a task's variant: the preset's, then those set one by one, then defaults.

    Raises:
        UnknownName: no such preset or parameter.
        HarnessError: a value has the wrong type.
    """
    given: dict[str, Any] = {}
    for word in stage.words:
        if word != "default" and word not in task.presets:
            raise UnknownName(f"preset of {task.name}", word, ["default", *task.presets])
        given.update(task.presets.get(word, {}))
    return coerce({**given, **stage.params}, task.parameters, task.name)


def variant_display(params: Mapping[str, Any], task: TaskDescription) -> str:
    """What a variant is called: "default", the name of an equal preset, or "noise=0.6,kind=pair"."""
    differing = changed(params, task.parameters, task.name)
    if not differing:
        return "default"
    for preset in task.presets:
        if variant_params(Stage(task.name, words=(preset,)), task) == params:
            return preset
    return ",".join(f"{key}={format_value(value)}" for key, value in differing.items())
