"""A final answer in a form that a program can use: what is asked for, and whether an answer is it. Pure.

It works with every server that chats. The model is told the schema in its system prompt, and a final text that fits is
taken as it is. One that doesn't is asked for once more, with what is wrong with it, without tools and with
`response_format`: there are servers that don't take that beside tools, and one that doesn't take it at all still gets the
question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from tiny_agents.agent.loop.limits import DEFAULT_RETRIES
from tiny_agents.errors import InvalidResponseError, UsageError
from tiny_agents.inference.structured import as_response_format, parse_text, schema_of

Wanted: TypeAlias = type | Mapping[str, Any]
"""A dataclass, msgspec struct, pydantic model or typed dictionary; or a JSON Schema."""

_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
_REASON_CHARS = 1_000
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Output(msgspec.Struct, frozen=True):
    """What the final answer has to be.

    Attributes:
        schema: As a JSON Schema.
        cls: Of what class; None for plain data.
        retries: How often it is asked for again.
    """

    schema: Mapping[str, Any]
    cls: type | None = None
    retries: int = DEFAULT_RETRIES

    @property
    def response_format(self) -> Any:
        """The argument of a chat call that asks for it."""
        if self.cls is not None:
            return as_response_format(self.cls)
        name = _NAME.sub("_", str(self.schema.get("title") or "answer"))[:64]
        return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(self.schema)}}

    @property
    def prompt(self) -> str:
        """What the model is told of it from the start."""
        return f"Your final answer must be JSON that fits this JSON Schema, and nothing but that JSON:\n{self._shown}"

    def question(self, reason: str) -> str:
        """What the model is told when its answer wasn't that."""
        return (
            f"Your answer can't be used: {reason}\nAnswer again, with JSON that fits this JSON Schema, and nothing but "
            f"that JSON:\n{self._shown}"
        )

    @property
    def _shown(self) -> str:
        return json.dumps(self.schema, ensure_ascii=False)

    def read(self, text: str) -> Any:
        """The object in what the model wrote.

        Raises:
            InvalidResponseError: It isn't one that fits; the message says why, for the model too.
        """
        if self.cls is not None:
            return parse_text(text, self.cls)
        fenced = _FENCED.fullmatch(text)
        try:
            value = json.loads(fenced[1] if fenced else text, parse_constant=_no_json)
        except (ValueError, RecursionError) as error:
            raise InvalidResponseError(f"It is no JSON: {error}", body=text) from error
        if problems := [f"{where}: {what}" for where, what in _problems(value, self.schema)]:
            raise InvalidResponseError(f"It does not fit the schema: {'; '.join(problems)}"[:_REASON_CHARS], body=text)
        return value


def output_of(wanted: Wanted | None, retries: int = DEFAULT_RETRIES) -> Output | None:
    """`wanted`, checked.

    Raises:
        UsageError: No schema, or a class of which none can be made.
    """
    if wanted is None:
        return None
    if isinstance(retries, bool) or retries < 0 or retries != int(retries):
        raise UsageError(f"output_retries must be a whole number, at least 0; got {retries!r}.")
    if isinstance(wanted, type):
        return Output(schema_of(wanted), wanted, retries)
    if not isinstance(wanted, Mapping):
        raise UsageError(f"output must be a class or a JSON Schema as a dictionary; got {type(wanted).__name__}.")
    _check_schema(wanted)
    return Output(wanted, None, retries)


def schema_problem(error: UsageError) -> str:
    """What `output_of` says of a schema, for a place that names the schema itself."""
    return str(error).removeprefix("output").lstrip(":. ")


_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")


def _check_schema(schema: Mapping[str, Any]) -> None:
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import validator_for

    try:
        json.dumps(schema, allow_nan=False)
        validator_for(schema, default=_draft()).check_schema(schema)
    except SchemaError as error:
        where = "".join(f".{step}" for step in error.absolute_path)
        reason = error.message
        if where.endswith(".type") and error.validator == "anyOf":
            reason = f"{error.instance!r} is no type; there are {', '.join(_TYPES)}"
        raise UsageError(f"output{where} is no JSON Schema: {reason[:_REASON_CHARS]}") from error
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"output is no JSON Schema: {error}") from error
    for reference in _references(schema):
        if not reference.startswith("#"):
            raise UsageError(f"output: the schema refers to {reference!r}; put it into the schema, below $defs.")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _problems(value: Any, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What doesn't fit, the place and the reason."""
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    registry: Registry[Any] = Registry()  # one that fetches nothing
    validator = validator_for(schema, default=_draft())(schema, registry=registry)
    try:
        for error in validator.iter_errors(value):
            yield error.json_path, error.message
    except Unresolvable as error:
        yield "$", f"the schema refers to something that isn't there: {error}"


def _draft() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
