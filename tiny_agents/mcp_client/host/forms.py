"""What a person filled in, checked against the form that a server sent. Pure.

A form is a JSON Schema of an object whose properties are plain: texts, numbers, yes or no, one or several of some choices.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any
from urllib.parse import urlsplit

Schema = Mapping[str, Any]


def form_fields(schema: Schema) -> dict[str, Schema]:
    """The fields of a form by name, each with what may be left empty said plainly: no `anyOf` with null around it."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {str(name): _plain(field) for name, field in properties.items() if isinstance(field, Mapping)}


def _plain(field: Schema) -> Schema:
    options = field.get("anyOf")
    if not isinstance(options, list):
        return field
    real = [option for option in options if isinstance(option, Mapping) and option.get("type") != "null"]
    if len(real) != 1 or "const" in real[0]:
        return field
    return {**real[0], **{key: value for key, value in field.items() if key != "anyOf"}}


def form_problems(schema: Schema, content: Mapping[str, Any]) -> list[str]:
    """What is wrong with `content`, in sentences that name the field; nothing if it can be sent."""
    fields = form_fields(schema)
    required = schema.get("required")
    needed = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    problems = [f"{name}: missing" for name in needed if name not in content]
    for name, value in content.items():
        if name not in fields:
            problems.append(f"{name}: the form has no such field")
        elif (problem := field_problem(fields[name], value)) is not None:
            problems.append(f"{name}: {problem}")
    return problems


def field_problem(field: Schema, value: Any) -> str | None:
    """Why `value` doesn't fit a field, as the end of a sentence; None if it does. A kind that isn't known takes anything."""
    if (choices := choices_of(field)) and field.get("type") != "array":
        return None if value in [choice for choice, _ in choices] else "is none of the choices"
    check = _CHECKS.get(str(field.get("type")))
    return None if check is None else check(field, value)


def choices_of(field: Schema) -> tuple[tuple[str, str], ...]:
    """The values to choose from and what each is called: those of the items, where several may be chosen."""
    items = field.get("items")
    field = items if isinstance(items, Mapping) else field
    titled = field.get("oneOf") or field.get("anyOf")
    if isinstance(titled, list):
        found = [option for option in titled if isinstance(option, Mapping) and "const" in option]
        return tuple((str(option["const"]), str(option.get("title") or option["const"])) for option in found)
    values = field.get("enum")
    if not isinstance(values, list):
        return ()
    names = field.get("enumNames")
    titles = names if isinstance(names, list) and len(names) == len(values) else values
    return tuple((str(value), str(title)) for value, title in zip(values, titles, strict=True))


# ---------------------------------------------------------------- one function per kind of field


def _text(field: Schema, value: Any) -> str | None:
    if not isinstance(value, str):
        return "must be text"
    if (problem := _bounds(field, len(value), "minLength", "maxLength", " characters")) is not None:
        return problem
    known = FORMATS.get(str(field.get("format")))
    if known is None:
        return None
    fits, example = known
    return None if fits(value) else f"must be {example}"


def _number(field: Schema, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        return "must be a number"
    if field.get("type") == "integer" and isinstance(value, float) and not value.is_integer():
        return "must be a whole number"
    return _bounds(field, value, "minimum", "maximum", "")


def _flag(_: Schema, value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _several(field: Schema, value: Any) -> str | None:
    if not isinstance(value, (list, tuple)):
        return "must be a list"
    choices = [choice for choice, _ in choices_of(field)]
    for item in value:
        if not isinstance(item, str) or (choices and item not in choices):
            return f"{item!r} is none of the choices"
    if len(set(value)) != len(value):
        return "has the same choice twice"
    return _bounds(field, len(value), "minItems", "maxItems", " choices")


_CHECKS: dict[str, Callable[[Schema, Any], str | None]] = {
    "string": _text,
    "integer": _number,
    "number": _number,
    "boolean": _flag,
    "array": _several,
}


def _bounds(field: Schema, size: float, least: str, most: str, unit: str) -> str | None:
    verb = "have" if unit else "be"
    low, high = _limit(field, least), _limit(field, most)
    if low is not None and size < low:
        return f"must {verb} at least {low:g}{unit}"
    if high is not None and size > high:
        return f"must {verb} at most {high:g}{unit}"
    return None


def _limit(field: Schema, key: str) -> float | None:
    """A limit that a form names; one beyond all numbers is none."""
    value = field.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if abs(value) <= sys.float_info.max else None


def _is_email(text: str) -> bool:
    return re.fullmatch(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)*", text) is not None


def _is_uri(text: str) -> bool:
    try:
        split = urlsplit(text)
    except ValueError:
        return False
    return bool(split.scheme and (split.netloc or split.path)) and not re.search(r"\s", text)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("2026-07-28")


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None and text[10:11] in "Tt "
    except ValueError:
        return False


FORMATS: dict[str, tuple[Callable[[str], bool], str]] = {
    "email": (_is_email, "an address such as ada@example.com"),
    "uri": (_is_uri, "a whole address such as https://example.com/page"),
    "date": (_is_date, "a date such as 2026-07-28"),
    "date-time": (_is_time, "a time such as 2026-07-28T15:30:00Z"),
}
"""Formats of texts: whether one fits, and what to say if it doesn't."""
