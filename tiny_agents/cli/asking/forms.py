"""A form that a server wants filled in -> questions for a terminal, and typed answers -> its values. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tiny_agents.mcp_client.host.forms import choices_of, field_problem, form_fields

YES = frozenset({"y", "yes", "true", "1"})
NO = frozenset({"n", "no", "false", "0"})


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form.

    Attributes:
        kind: The JSON Schema type: string, integer, number, boolean, or array for several of the choices.
        choices: Values to choose from, and what each is called; empty where anything goes.
        default: What nothing typed means; None where there is no such thing.
        schema: What else holds for the value.
    """

    name: str
    label: str
    kind: str = "string"
    choices: tuple[tuple[str, str], ...] = ()
    required: bool = False
    default: Any = None
    schema: Mapping[str, Any] = field(default_factory=dict)

    @property
    def question(self) -> str:
        """The label, what may be typed and what nothing typed means."""
        hints = {"boolean": "y/n", "array": "numbers, separated by commas"}
        parts = [hints[self.kind]] if self.kind in hints else []
        if self.default is not None:
            parts.append(f"default: {self._shown(self.default)}")
        elif not self.required:
            parts.append("may be left empty")
        return f"{self.label} ({'; '.join(parts)}):" if parts else f"{self.label}:"

    def _shown(self, value: Any) -> str:
        if isinstance(value, bool):
            return "y" if value else "n"
        return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)


def fields_of(schema: Mapping[str, Any]) -> list[Field]:
    """The lines of the form that a JSON Schema of an object describes."""
    required = schema.get("required")
    needed = set(required) if isinstance(required, list) else set()
    return [_field(name, found, name in needed) for name, found in form_fields(schema).items()]


def _field(name: str, schema: Mapping[str, Any], required: bool) -> Field:
    title = str(schema.get("title") or name)
    description = schema.get("description")
    return Field(
        name,
        f"{title}: {description}" if description else title,
        str(schema.get("type") or "string"),
        choices_of(schema),
        required,
        schema.get("default"),
        schema,
    )


def asks_for_secret(field: Field) -> bool:
    """Whether it looks as if something was asked for that must not go through a form: servers may not do that."""
    return field.schema.get("format") == "password" or _SECRET.search(f"{field.name} {field.label}") is not None


_SECRET = re.compile(
    r"(?i)pass[ _-]?(?:word|phrase|code)|passwd|secret|(?:api|private|access)[ _-]?key|token|credential|credit[ _-]?card"
    r"|\b(?:pin|cvv|cvc|ssn|iban)\b"
)


def read_field(field: Field, typed: str) -> Any:
    """The value that was typed; None where the field stays empty.

    Raises:
        ValueError: It doesn't fit; the message says why.
    """
    typed = typed.strip()
    if not typed:
        if field.default is not None or not field.required:
            return field.default
        raise ValueError("this is needed")
    value = _value(field, typed)
    if (problem := field_problem(field.schema, value)) is not None:
        raise ValueError(f"this {problem}")
    return value


def _value(field: Field, typed: str) -> Any:
    if field.kind == "array":
        return [_choice(field, part.strip()) for part in typed.split(",") if part.strip()]
    if field.choices:
        return _choice(field, typed)
    if field.kind == "boolean":
        if typed.casefold() not in YES | NO:
            raise ValueError("type y or n")
        return typed.casefold() in YES
    if field.kind in ("integer", "number"):
        try:
            return int(typed) if field.kind == "integer" else float(typed)
        except ValueError:
            raise ValueError("this must be a whole number" if field.kind == "integer" else "not a number") from None
    return typed


def _choice(field: Field, typed: str) -> str:
    for number, (value, title) in enumerate(field.choices, start=1):
        if typed in (str(number), value) or typed.casefold() == title.casefold():
            return value
    raise ValueError(f"type a number from 1 to {len(field.choices)}" if field.choices else "there is nothing to choose")
