"""Answers as objects: a class -> the JSON Schema that is asked for, and the model's text -> an instance of the class. Pure.

A class may be a pydantic model (version 2, recognised by its methods), a msgspec struct, a dataclass, a TypedDict or an
attrs class.

Source: OpenAI API guide, "Structured outputs": with `strict`, every object lists all its properties as required and
allows no others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from tiny_agents.errors import InvalidResponseError, UsageError

if TYPE_CHECKING:
    from tiny_agents.inference.types.chat import ChatCompletionOutput

T = TypeVar("T")
Schema = dict[str, Any]

_NAME = re.compile(r"[^A-Za-z0-9_-]+")  # what a name of a schema may not hold
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)  # models like to wrap JSON for a reader


def as_response_format(wanted: Any) -> Any:
    """`response_format` as it is sent: a class becomes its schema, anything else stays as it is.

    Raises:
        UsageError: No schema can be made of the class.
    """
    if not isinstance(wanted, type):
        return wanted
    schema = schema_of(wanted)
    strict = not _has_maps(schema)
    name = _NAME.sub("_", wanted.__name__)[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": _closed(schema, schema) if strict else schema, "strict": strict},
    }


def schema_of(cls: type) -> Schema:
    """The JSON Schema of the instances of a class, as an object at the top."""
    try:
        make = getattr(cls, "model_json_schema", None)  # pydantic
        schema: Schema = make() if make is not None else msgspec.json.schema(cls)
    except TypeError as error:
        raise UsageError(f"response_format: no JSON Schema can be made of {cls.__qualname__}: {error}") from error
    if "$ref" in schema:  # the class itself, among the definitions because they may refer to it
        schema = {**_resolved(schema["$ref"], schema), "$defs": schema["$defs"]}
        if f"#/$defs/{cls.__name__}" not in repr(schema):
            schema["$defs"] = {name: found for name, found in schema["$defs"].items() if name != cls.__name__}
        if not schema["$defs"]:
            del schema["$defs"]
    if schema.get("type") != "object":
        raise UsageError(
            f"response_format: instances of {cls.__qualname__} are no JSON objects; wrap what is wanted in a dataclass, a "
            "msgspec struct or a pydantic model."
        )
    return schema


def parse_text(text: str, cls: type[T]) -> T:
    """The instance of `cls` in what a model wrote, with or without a Markdown fence around it.

    Raises:
        InvalidResponseError: It is no JSON, or does not fit; `body` is the text.
    """
    fenced = _FENCED.fullmatch(text)
    bare = fenced[1] if fenced else text
    try:
        validate = getattr(cls, "model_validate_json", None)  # pydantic
        found = validate(bare) if validate is not None else msgspec.json.decode(bare, type=cls, strict=False)
    except (ValueError, msgspec.MsgspecError) as error:  # pydantic's errors are ValueErrors
        raise InvalidResponseError(
            f"The answer does not fit {cls.__qualname__}: {' '.join(str(error).split())[:500]}. It was: {text[:200]!r}",
            body=text,
        ) from error
    return cast("T", found)


def parse_answer(output: ChatCompletionOutput, cls: type[T], *, choice: int = 0) -> T:
    """The instance of `cls` in one choice of an answer.

    Raises:
        InvalidResponseError: The model refused, called a tool in place of an answer, was cut off by `max_tokens`, or wrote
            something that does not fit.
    """
    if choice >= len(output.choices):
        raise InvalidResponseError(f"There is no choice {choice} in the answer.", model=output.model)
    found = output.choices[choice]
    message = found.message
    if message.refusal:
        raise InvalidResponseError(f"The model refused: {message.refusal[:500]}", model=output.model)
    if message.content is None:
        did = "called a tool" if message.tool_calls else "wrote nothing"
        raise InvalidResponseError(f"The model {did} in place of an answer.", model=output.model)
    try:
        return parse_text(message.content, cls)
    except InvalidResponseError as error:
        error.model = output.model
        if found.finish_reason == "length":
            raise InvalidResponseError(
                "The answer was cut off before it was finished: allow more with max_tokens=.",
                body=message.content,
                model=output.model,
            ) from error
        raise


def with_parsed(output: ChatCompletionOutput, cls: type) -> ChatCompletionOutput:
    """`output`, with `message.parsed` set in every choice that holds an answer (rather than tool calls or a refusal)."""
    for index, choice in enumerate(output.choices):
        if choice.message.content is not None and not choice.message.refusal:
            choice.message.parsed = None if choice.message.tool_calls else parse_answer(output, cls, choice=index)
    return output


# ---------------------------------------------------------------- schemas


def _resolved(reference: str, root: Schema) -> Schema:
    found: Any = root
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return dict(found)


def _has_maps(value: Any) -> bool:
    """Whether objects with any keys are in it, which can't be said strictly."""
    if isinstance(value, Mapping):
        if value.get("type") == "object" and (value.get("additionalProperties") or "properties" not in value):
            return True
        return any(_has_maps(item) for item in value.values())
    return isinstance(value, list) and any(_has_maps(item) for item in value)


def _closed(value: Any, root: Schema) -> Any:
    """The schema with every property required and no others allowed; null as a default is said by the type already."""
    if isinstance(value, list):
        return [_closed(item, root) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "$ref" in value and len(value) > 1:  # strictly, nothing may stand beside a reference
        beside = {key: item for key, item in value.items() if key != "$ref"}
        return _closed({**_resolved(value["$ref"], root), **beside}, root)
    closed = {
        key: _properties(item, root) if key in ("properties", "$defs") else _closed(item, root)
        for key, item in value.items()
        if not (key == "default" and item is None)
    }
    if value.get("type") == "object":
        closed["required"] = list(value.get("properties", {}))
        closed["additionalProperties"] = False
    return closed


def _properties(named: Mapping[str, Any], root: Schema) -> Schema:
    """Schemas by name: the names are anything, also such that mean something in a schema."""
    return {name: _closed(schema, root) for name, schema in named.items()}
