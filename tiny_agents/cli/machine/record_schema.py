"""The records of `--output jsonl` as a JSON Schema, and as a page of documentation. Made from their types and docstrings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Any

import msgspec

from tiny_agents.cli.machine.records import RECORDS, VERSION, Total

_ATTRIBUTE = re.compile(r" {4}(\w+): (.*)")


TYPES: tuple[type, ...] = (*RECORDS, Total)


def record_schema() -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) that every line of `--output jsonl` fits."""
    (lines,), types = msgspec.json.schema_components([_any_of(RECORDS)])
    for cls in TYPES:
        about, attributes = _documented(cls)
        described = types[cls.__name__]
        described["description"] = about
        for name, text in attributes.items():
            described["properties"][name]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A line of `tiny-agents run --output jsonl`, version {VERSION}",
        "anyOf": lines["anyOf"],
        "$defs": types,
    }


def _any_of(types: Sequence[Any]) -> Any:
    return reduce(or_, types)


def record_table() -> str:
    """All records and their keys, as Markdown."""
    types = record_schema()["$defs"]
    return "\n".join(line for cls in TYPES for line in _section(types[cls.__name__], types))


def _section(record: Mapping[str, Any], types: Mapping[str, Any]) -> Iterator[str]:
    properties = dict(record["properties"])
    kind = properties.pop("type", None)
    yield f"### `{kind['enum'][0]}`" if kind is not None else "### The keys of `usage` in `end`"
    yield ""
    yield record["description"]
    yield ""
    yield "| Key | Holds | |"
    yield "|---|---|---|"
    for name, schema in properties.items():
        yield f"| `{name}` | {_words(schema, types)} | {schema.get('description', '')} |"
    yield ""


def _words(schema: Mapping[str, Any], types: Mapping[str, Any]) -> str:
    """What a value may be, in a few words."""
    if "anyOf" in schema:
        return " or ".join(_words(each, types) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        kind = types[name]["properties"].get("type")
        return f"a record `{kind['enum'][0]}`" if kind is not None else "an object, see below"
    if schema.get("type") == "array":
        return f"list of {_words(schema['items'], types)}s"
    return _TYPES[schema.get("type")]


_TYPES: Mapping[Any, str] = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "null": "null",
    None: "anything",
}


def _documented(cls: type) -> tuple[str, dict[str, str]]:
    """What a docstring says of the whole, and of each attribute."""
    about, _, listed = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    attributes: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        found = _ATTRIBUTE.fullmatch(line)
        if found:
            name = found[1]
            attributes[name] = found[2]
        elif name:
            attributes[name] += f" {line.strip()}"
    return " ".join(about.split()), attributes
