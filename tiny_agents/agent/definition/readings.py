"""What values of a definition may be: addresses, headers, durations, choices. Each is a reading, most are a `Shape`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.agent.definition.table import Problems, Shape
from tiny_agents.errors import shown_address
from tiny_agents.inference.settings import is_address

NO_ADDRESS = "must be an address such as https://host/path"
NO_HEADER = "the value of a header can't contain a line break"

SCALAR: Mapping[str, Any] = {"type": ["string", "number", "boolean"]}
"""What counts as text where `8080` needs no quotes."""

_FILLED = r"\S"  # a text that isn't blank


def url(value: Value) -> str:
    text = value.text().strip()
    if "${" not in text and not is_address(text):
        raise value.error(f"{NO_ADDRESS}, but is {shown_address(text)!r}")
    return text


def env(value: Value) -> dict[str, str]:
    for name, entry in value.mapping().items():
        if not name or "=" in name or "\0" in name:
            raise entry.error(f"{name!r} can't be the name of an environment variable")
    return value.text_map()


def headers(value: Value) -> dict[str, str]:
    found = value.text_map()
    for name, text in found.items():
        entry = value.mapping()[name]
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise entry.error(f"{name!r} can't be the name of a header")
        if has_line_break(text):
            raise entry.error(NO_HEADER)
    return found


def has_line_break(text: str) -> bool:
    return "\n" in text or "\r" in text


def args(value: Value) -> tuple[str, ...]:
    if isinstance(value.data, str):
        raise value.error('must be a list such as ["-y", "some-package"], but is text')
    return value.texts()


def variable(value: Value) -> str:
    text = value.text()
    if not re.fullmatch(_VARIABLE, text):
        raise value.error(f"{text!r} can't be the name of an environment variable")
    return text


_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def text_or_texts(value: Value) -> tuple[str, ...]:
    return value.texts() if isinstance(value.data, list) else (value.text(),)


# ---- shapes


TEXT = Shape(Value.text, {"type": "string", "pattern": _FILLED})
TEXTS = Shape(Value.texts, {"type": "array", "items": SCALAR})
TEXT_OR_TEXTS = Shape(text_or_texts, {"anyOf": [TEXT.schema, TEXTS.schema]})
FLAG = Shape(Value.flag, {"type": "boolean"})
SECONDS = Shape(Value.seconds, {"type": "number", "exclusiveMinimum": 0})
COUNT = Shape(Value.count, {"type": "integer", "minimum": 1})
WHOLE = Shape(Value.whole, {"type": "integer", "minimum": 0})
URL = Shape(url, {"type": "string", "pattern": r"^\s*https?://[^\s/]|\$\{"})
ENV = Shape(env, {"type": "object", "propertyNames": {"pattern": "^[^=]+$"}, "additionalProperties": SCALAR})
HEADERS = Shape(headers, {"type": "object", "additionalProperties": SCALAR})
ARGS = Shape(args, TEXTS.schema)
VARIABLE = Shape(variable, {"type": "string", "pattern": f"^{_VARIABLE}$"})
PLAIN = Shape(Value.plain, {})
PLAIN_MAP = Shape(lambda value: (value.mapping(), value.plain())[1], {"type": "object"})


def number(low: float | None = None, high: float | None = None) -> Shape:
    """A number, with or without a fraction, from `low` to `high`."""
    bounds = {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}
    return Shape(lambda value: value.number(low, high), {"type": "number", **bounds})


def choice(*names: str) -> Shape:
    """One of some words."""

    def read(value: Value) -> str:
        if value.data not in names:
            raise value.error(_no_choice(value, f"one of {', '.join(names)}", names))
        return value.text()

    return Shape(read, {"enum": list(names)})


def _no_choice(value: Value, wanted: str, names: tuple[str, ...]) -> str:
    near = did_you_mean(value.data, names) if isinstance(value.data, str) else ""
    return f"must be {wanted}, but is {value.shown}{near}"


def or_word(first: Shape, kind: type, wanted: str, *names: str) -> Shape:
    """`first` for values of the given kind, else one of some words; `wanted` says all of it in an error."""
    otherwise = choice(*names)

    def read(value: Value) -> Any:
        if type(value.data) is kind:
            return first.read(value)
        if value.data not in names:
            raise value.error(_no_choice(value, wanted, names))
        return value.text()

    return Shape(read, {"anyOf": [first.schema, otherwise.schema]})


def each(shape: Shape) -> Shape:
    """A list whose items have that shape."""

    def read(value: Value) -> tuple[Any, ...]:
        return tuple(read_each(value.items(), shape.read))

    return Shape(read, {"type": "array", "items": shape.schema})


def read_each(values: list[Value], read: Callable[[Value], Any]) -> list[Any]:
    """`read` of every value; all that are wrong are said at once."""
    problems = Problems()
    found = []
    for value in values:
        with problems.noted():
            found.append(read(value))
    problems.raise_first()
    return found
