"""What is almost right is made right, and nothing else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents.mcp_client.connection.watch import Watch
from tiny_agents.mcp_client.protocol.messages import encode
from tiny_agents.mcp_client.tools.mending import (
    complete,
    listed,
    mended_progress,
    mended_tools,
)
from tiny_agents.mcp_client.transports.framing import read_message

OBJECT = {"type": "object"}


def test_what_is_right_stays_as_it_is() -> None:
    tools = [
        {
            "name": "a",
            "title": "A",
            "description": "x",
            "inputSchema": {"type": "object", "$ref": "#"},
            "outputSchema": OBJECT,
        },
        {"name": "b", "inputSchema": OBJECT, "unknown": 3},
    ]
    assert mended_tools(tools) == (tools, [])


@pytest.mark.parametrize(
    ("tool", "kept"),
    [
        ({"name": "a"}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": None}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": OBJECT, "description": 7}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": OBJECT, "annotations": "read"}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": OBJECT, "outputSchema": "x"}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": {**OBJECT, "required": "a"}}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": {**OBJECT, "properties": []}}, {"name": "a", "inputSchema": OBJECT}),
        ({"name": "a", "inputSchema": {"type": "array"}}, None),
        ({"name": "a", "inputSchema": "object"}, None),
        ({"inputSchema": OBJECT}, None),
        ({"name": 7, "inputSchema": OBJECT}, None),
        ("a", None),
        (None, None),
    ],
)
def test_a_tool_that_is_wrong_is_mended_or_left_out_and_says_so(tool: Any, kept: dict[str, Any] | None) -> None:
    other = {"name": "other", "inputSchema": OBJECT}
    tools, problems = mended_tools([tool, other])
    assert tools == ([kept, other] if kept is not None else [other])
    assert len(problems) == 1
    assert problems[0].endswith(", and is left out") == (kept is None)


def test_a_schema_without_a_type_is_mended_without_a_word() -> None:
    """Older clients took it, so many servers have it."""
    schema = {"properties": {"a": {}}}
    tools, problems = mended_tools([{"name": "a", "inputSchema": schema, "outputSchema": schema}])
    assert tools == [{"name": "a", "inputSchema": {**schema, **OBJECT}, "outputSchema": {**schema, **OBJECT}}]
    assert problems == []


@pytest.mark.parametrize("output", [{"type": "array"}, {"type": "objekt", "required": "a"}])
def test_a_result_that_is_no_object_is_not_checked(output: dict[str, Any]) -> None:
    tool = {"name": "a", "inputSchema": OBJECT}
    assert mended_tools([{**tool, "outputSchema": output}]) == ([tool], [])


def test_a_result_that_says_too_little_is_the_whole_answer_and_is_not_kept() -> None:
    said: dict[str, Any] = {"content": []}
    listed: dict[str, Any] = {"tools": [], "resultType": "input_required", "ttlMs": 5}
    complete(said)
    complete(listed)
    assert said == {"content": [], "resultType": "complete"}
    assert listed == {"tools": [], "resultType": "input_required", "ttlMs": 5, "cacheScope": "private"}


def test_of_many_problems_the_first_are_named() -> None:
    assert listed(["a", "b"]) == "a; b"
    assert listed(["a", "b", "c", "d", "e"]) == "a; b; c; and 2 more"


HALVES = [
    (rb'"\ud83d\ude00"', "😀"),
    (rb'"a\ud83d"', "a\ufffd"),
    (rb'"\ude00a"', "\ufffda"),
    (rb'"\ud83d\ud83d\ude00"', "\ufffd😀"),
    (rb'"\uD83D\u0041"', "\ufffdA"),
    (rb'"\\ud83d"', "\\ud83d"),
    (rb'"\\\ud83d"', "\\\ufffd"),
    (rb'"\n\ud83d\ud83d"', "\n\ufffd\ufffd"),
    (b'"caf\xe9 \\ud83d"', "caf\ufffd \ufffd"),
    ('"grüße 😀"'.encode(), "grüße 😀"),
]


@pytest.mark.parametrize(("text", "value"), HALVES)
def test_half_characters_cost_themselves_only(text: bytes, value: str) -> None:
    message = read_message(b'{"jsonrpc":"2.0","id":1,"result":{"said":%s}}' % text, Watch(lambda: None))
    assert message == {"jsonrpc": "2.0", "id": 1, "result": {"said": value}}
    encode(message)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"progress": 1, "total": 2.5, "message": "x"}, {"progress": 1, "total": 2.5, "message": "x"}),
        ({"progress": 1, "total": None}, {"progress": 1, "total": None}),
        ({"progress": 1, "total": 10**400, "message": "x"}, {"progress": 1, "message": "x"}),
        ({"progress": 1, "total": float("inf")}, {"progress": 1}),
        ({"progress": 10**400}, None),
        ({"progress": -(10**400), "total": 1}, None),
        ({"progress": float("nan")}, None),
        ({"progress": "1"}, None),
        ({"total": 1}, None),
        (None, None),
    ],
)
def test_progress_that_no_float_can_hold_is_left_out(said: Any, kept: Any) -> None:
    assert mended_progress(said) == kept


@pytest.mark.parametrize("odd", [-5, "x", 10**30, 1.5, None, True, []])
def test_a_result_that_holds_for_a_time_that_makes_no_sense_holds_for_none(odd: Any) -> None:
    listed = {"tools": [], "ttlMs": odd, "cacheScope": odd, "resultType": odd if odd != "x" else 5}
    complete(listed)
    assert listed == {"tools": [], "ttlMs": 0, "cacheScope": "private", "resultType": "complete"}
