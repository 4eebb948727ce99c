"""What models write in place of JSON: read where it can mean one thing only."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.mcp_client.calls.coerce import coerced
from tiny_agents.mcp_client.calls.repair import read_loosely


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1,}', {"a": 1}),
        ('{"a": [1, 2, ], }', {"a": [1, 2]}),
        ("{'a': 'b'}", {"a": "b"}),
        ("{'a': \"it's\"}", {"a": "it's"}),
        (r"{'a': 'it\'s'}", {"a": "it's"}),
        ("{a: 1, b_2: null}", {"a": 1, "b_2": None}),
        ('{"a": True, "b": False, "c": None}', {"a": True, "b": False, "c": None}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ('```\n{"a": "```"}\n```', {"a": "```"}),
        ('{"a": "b"', {"a": "b"}),
        ('{"a": {"b": ["c"', {"a": {"b": ["c"]}}),
        ('{"a": {"b": true', {"a": {"b": True}}),
        ('{"a": {}', {"a": {}}),
        ('{"a": "one\ntwo"', {"a": "one\ntwo"}),
        (r'{"a": "\u00e9 \ud83d\ude00 \n"', {"a": "é 😀 \n"}),
        ("{'n': -1.5e3}", {"n": -1500.0}),
    ],
)
def test_what_can_mean_one_thing_is_read(text: str, value: Any) -> None:
    assert read_loosely(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a"',
        '{"a":',
        '{"a": "b',
        '{"a": "b",',
        '{"a": 1',
        '{"a": [1, 2',
        '{"a": 12, "b": 3',
        '{"a": "b" "c"}',
        "{'a': 'it's'}",
        '{"a": 1}}',
        '{"a": 1} {"a": 1}',
        '{"a": b}',
        '{"a": 01}',
        '{"a": 1 "b": 2}',
        '{"a": (1, 2)}',
        "{,}",
        '{"a": "\\x41"}',
        "add(1, 2)",
        'Here it is: {"a": 1}',
        '{"a": NaN}',
        '{"a": undefined}',
        "[" * 1000,
    ],
)
def test_what_could_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="character"):
        read_loosely(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_what_is_json_is_read_as_json_reads_it(value: Any) -> None:
    assert read_loosely(json.dumps(value)) == value


@given(st.dictionaries(st.text("ab'\"\\\n é", max_size=4), JSON, min_size=1, max_size=3))
def test_a_python_literal_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    text = repr(value)
    try:
        assert read_loosely(text) == value
    except ValueError:
        assert "\\x" in text or "\\U" in text  # escapes of Python's that JSON doesn't have


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), JSON, max_size=3), st.randoms(use_true_random=False))
def test_json_that_is_cut_anywhere_is_read_as_a_start_of_it_or_refused(
    value: dict[str, Any], rng: random.Random
) -> None:
    text = json.dumps(value)
    cut = text[: rng.randrange(len(text))]
    try:
        found = read_loosely(cut)
    except ValueError:
        return
    assert _is_start_of(found, value), (cut, found)


def _is_start_of(found: Any, whole: Any) -> bool:
    """Nothing in `found` is another value than in `whole`; things may be missing at its end."""
    if isinstance(whole, dict) and isinstance(found, dict):
        return all(key in whole and _is_start_of(item, whole[key]) for key, item in found.items())
    if isinstance(whole, list) and isinstance(found, list):
        return all(_is_start_of(item, other) for item, other in zip(found, whole, strict=False))
    return bool(found == whole)


SCHEMA = {
    "properties": {
        "n": {"type": "integer"},
        "x": {"type": "number"},
        "ok": {"type": "boolean"},
        "s": {"type": "string"},
        "l": {"type": "array"},
        "o": {"type": "object"},
        "any": {},
        "either": {"type": ["integer", "string"]},
    }
}


@pytest.mark.parametrize(
    ("given_", "wanted"),
    [
        ({"n": "5"}, {"n": 5}),
        ({"n": " -5 "}, {"n": -5}),
        ({"n": 5.0}, {"n": 5}),
        ({"n": 5.5}, {"n": 5.5}),
        ({"n": "05"}, {"n": "05"}),
        ({"n": "5.0"}, {"n": "5.0"}),
        ({"n": "five"}, {"n": "five"}),
        ({"n": True}, {"n": True}),
        ({"x": "0.5"}, {"x": 0.5}),
        ({"x": "7"}, {"x": 7}),
        ({"x": "1e999"}, {"x": "1e999"}),
        ({"x": "nan"}, {"x": "nan"}),
        ({"ok": "true"}, {"ok": True}),
        ({"ok": "False"}, {"ok": False}),
        ({"ok": "yes"}, {"ok": "yes"}),
        ({"ok": 1}, {"ok": 1}),
        ({"s": 5}, {"s": "5"}),
        ({"s": False}, {"s": False}),
        ({"l": '["a"]'}, {"l": ["a"]}),
        ({"l": "a"}, {"l": "a"}),
        ({"o": '{"a": 1}'}, {"o": {"a": 1}}),
        ({"o": "[]"}, {"o": "[]"}),
        ({"any": "5", "either": "5", "unknown": "5"}, {"any": "5", "either": "5", "unknown": "5"}),
    ],
)
def test_arguments_get_the_type_of_the_schema_where_nothing_is_lost(given_: Any, wanted: Any) -> None:
    found = coerced(given_, SCHEMA)
    assert [(key, type(value), value) for key, value in found.items()] == [
        (key, type(value), value) for key, value in wanted.items()
    ]


@pytest.mark.parametrize(
    "schema", [None, {}, {"properties": []}, {"properties": {"n": True}}, {"properties": {"n": {"type": {}}}}]
)
def test_any_schema_is_survived(schema: Any) -> None:
    assert coerced({"n": "5"}, schema) == {"n": "5"}
