"""The data of a result is held against what its tool promised, and a schema can't make that last."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tiny_agents.mcp_client.calls.promises import broken_promise

INTEGER = {"type": "integer"}
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.mark.parametrize(
    ("schema", "data", "problem"),
    [
        (CITY, {}, "'name' is missing"),
        (CITY, {"name": 5}, "'name' is not of the type string"),
        (CITY, [], "the whole of it is not of the type object"),
        ({"type": ["string", "null"]}, 5, "the whole of it is not of the type string or null"),
        ({"items": INTEGER}, [1, 2.0, True], "'2' is not of the type integer"),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, {"a": "z"}, "'a' is none of the values that it may have"),
        ({"const": "x"}, "y", "the whole of it is none of the values that it may have"),
        ({"anyOf": [INTEGER, {"type": "null"}]}, "x", "the whole of it is nothing of what it may be"),
        ({"allOf": [CITY, {"required": ["size"]}]}, {"name": "x"}, "'size' is missing"),
        ({"$defs": {"a/b": CITY}, "properties": {"c": {"$ref": "#/$defs/a~1b"}}}, {"c": {}}, "'c.name' is missing"),
        ({"properties": {"\x1b[31ma": INTEGER}}, {"\x1b[31ma": "x"}, "'a' is not of the type integer"),
    ],
)
def test_what_contradicts_a_schema_is_named(schema: dict[str, Any], data: Any, problem: str) -> None:
    assert broken_promise(schema, data) == problem


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (CITY, {"name": "x", "more": 1}),
        ({"type": "integer"}, 2.0),
        ({"type": "date"}, 5),  # words that nobody knows say nothing
        ({"type": [], "enum": 3, "required": "a", "properties": [], "items": 7, "allOf": 1, "anyOf": []}, "x"),
        ({"prefixItems": [{"type": "string"}], "items": INTEGER}, ["a", "b"]),
        ({"oneOf": [{"pattern": "^a"}, {"pattern": "^b"}]}, "a"),
        ({"$ref": "https://example.com/schema.json"}, 5),
        ({"$ref": "#/$defs/missing"}, 5),
        (True, 5),
    ],
)
def test_what_is_not_certainly_wrong_is_right(schema: Any, data: Any) -> None:
    assert broken_promise(schema, data) is None


def multiplying(levels: int) -> dict[str, Any]:
    parts = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 10} for i in range(levels)}
    return {"$defs": {**parts, f"d{levels}": {}}, "$ref": "#/$defs/d0"}


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ({"properties": {"a": {"pattern": "^(a+)+$"}}}, {"a": "a" * 40 + "!"}),
        (multiplying(12), {}),
        ({"$ref": "#"}, {}),
        ({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, {}),
        ({"uniqueItems": True}, [{"x": number} for number in range(20_000)]),
        ({"items": {"enum": list(range(10_000))}}, ["x"] * 10_000),
        ({"$ref": "#" + "/a" * 1_000_000}, {}),
    ],
)
def test_no_schema_takes_long(schema: dict[str, Any], data: Any) -> None:
    began = time.process_time()
    broken_promise(schema, data)
    assert time.process_time() - began < 1.0
