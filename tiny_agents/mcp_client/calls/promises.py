"""Whether the data of a result is what its tool promised (`outputSchema`), as far as that is clear in a moment. Pure.

A JSON Schema can be a program that never ends: patterns, references that multiply, lists in which nothing may be twice. So
only plain words of it are understood, a check takes a bounded number of steps, and what isn't certainly wrong is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tiny_agents.mcp_client.text import readable

MAX_STEPS = 20_000
MAX_DEPTH = 100
SHOWN_CHARS = 100

Schema = Mapping[str, Any]


def broken_promise(schema: Schema, data: Any) -> str | None:
    """What in `data` contradicts `schema`, in a sentence that names the place; None where nothing certainly does."""
    try:
        return _Check(schema).problem(schema, data, "", 0)
    except _TooMuch:
        return None


class _TooMuch(Exception):
    """More steps, or deeper, than is worth it."""


class _Check:
    """One check, which counts its steps."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MAX_STEPS

    def spend(self, steps: int = 1) -> None:
        self._left -= steps
        if self._left < 0:
            raise _TooMuch

    def problem(self, schema: Any, data: Any, place: str, depth: int) -> str | None:
        self.spend()
        if depth > MAX_DEPTH:
            raise _TooMuch
        if not isinstance(schema, Mapping):
            return None
        if "$ref" in schema:
            return self.problem(self._referred(schema["$ref"]), data, place, depth + 1)
        for word, check in _WORDS.items():
            if word in schema and (found := check(self, schema, data, place, depth)) is not None:
                return found
        return None

    def _referred(self, ref: Any) -> Any:
        """What a reference within the schema leads to; None for any other."""
        if not isinstance(ref, str) or not ref.startswith("#"):
            return None
        found: Any = self._root
        for step in ref[1:].split("/")[1:]:
            self.spend()
            key = step.replace("~1", "/").replace("~0", "~")
            found = found.get(key) if isinstance(found, Mapping) else None
        return found


# ---------------------------------------------------------------- one function per word

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda data: isinstance(data, Mapping),
    "array": lambda data: isinstance(data, list),
    "string": lambda data: isinstance(data, str),
    "boolean": lambda data: isinstance(data, bool),
    "null": lambda data: data is None,
    "number": lambda data: isinstance(data, (int, float)) and not isinstance(data, bool),
    "integer": lambda data: (
        (isinstance(data, int) and not isinstance(data, bool)) or (isinstance(data, float) and data.is_integer())
    ),
}


def _type(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    wanted = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    check.spend(len(wanted))
    known = [_TYPES.get(name) if isinstance(name, str) else None for name in wanted]
    if not known or any(fits is None or fits(data) for fits in known):
        return None
    return f"{_at(place)} is not of the type {' or '.join(dict.fromkeys(wanted))}"


def _enum(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    values = schema["enum"]
    if not isinstance(values, list) or isinstance(data, (Mapping, list)):
        return None
    check.spend(len(values))
    return None if data in values else f"{_at(place)} is none of the values that it may have"


def _const(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    return _enum(check, {"enum": [schema["const"]]}, data, place, depth)


def _required(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    names = schema["required"]
    if not isinstance(names, list) or not isinstance(data, Mapping):
        return None
    check.spend(len(names))
    missing = next((name for name in names if isinstance(name, str) and name not in data), None)
    return None if missing is None else f"{_at(_below(place, missing))} is missing"


def _properties(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    properties = schema["properties"]
    if not isinstance(properties, Mapping) or not isinstance(data, Mapping):
        return None
    check.spend(len(data))
    for name, value in data.items():
        if name in properties:
            found = check.problem(properties[name], value, _below(place, name), depth + 1)
            if found is not None:
                return found
    return None


def _items(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    if not isinstance(data, list) or "prefixItems" in schema:
        return None
    for index, item in enumerate(data):
        found = check.problem(schema["items"], item, _below(place, str(index)), depth + 1)
        if found is not None:
            return found
    return None


def _all_of(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
    parts = schema["allOf"] if isinstance(schema["allOf"], list) else []
    for part in parts:
        if (found := check.problem(part, data, place, depth + 1)) is not None:
            return found
    return None


def _some_of(word: str) -> Callable[[_Check, Schema, Any, str, int], str | None]:
    """At least one has to fit. That others don't (`oneOf`) can't be told, as not every word is understood."""

    def some_of(check: _Check, schema: Schema, data: Any, place: str, depth: int) -> str | None:
        parts = schema[word]
        if not isinstance(parts, list) or not parts:
            return None
        if any(check.problem(part, data, place, depth + 1) is None for part in parts):
            return None
        return f"{_at(place)} is nothing of what it may be"

    return some_of


_WORDS: dict[str, Callable[[_Check, Schema, Any, str, int], str | None]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "items": _items,
    "allOf": _all_of,
    "anyOf": _some_of("anyOf"),
    "oneOf": _some_of("oneOf"),
}


def _below(place: str, name: str) -> str:
    return f"{place}.{name[:SHOWN_CHARS]}"[-SHOWN_CHARS:]


def _at(place: str) -> str:
    shown = " ".join(readable(place.removeprefix(".")).split())
    return f"'{shown}'" if shown else "the whole of it"
