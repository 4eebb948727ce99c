"""What servers say of themselves, and what their tools answer: one odd part doesn't cost the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents.mcp_client.connection.greeting import mended_greeting
from tiny_agents.mcp_client.results.mending import MAX_PARTS, mended_answer

GOOD = {"type": "text", "text": "good"}


def note(kind: str) -> dict[str, Any]:
    return {"type": "text", "text": f"[A part of the answer, of the type '{kind}', was left out: it isn't valid MCP]"}


def test_what_is_right_stays_as_it_is() -> None:
    link = {"type": "resource_link", "uri": "x:", "name": "x", "mimeType": "text/plain", "size": 3}
    embedded = {"type": "resource", "resource": {"uri": "x:", "text": "x", "mimeType": "text/plain"}}
    image = {"type": "image", "data": "aGk=", "mimeType": "image/png", "annotations": {"priority": 0.5}}
    whole = {"content": [GOOD, link, embedded, image], "isError": False, "structuredContent": {"a": 1}, "_meta": {}}
    assert mended_answer(whole) == whole
    assert mended_answer({"resultType": "input_required", "requestState": "x"}) == {
        "resultType": "input_required",
        "requestState": "x",
    }


@pytest.mark.parametrize(
    ("part", "mended"),
    [
        ("naked", {"type": "text", "text": "naked"}),
        ({"text": "naked"}, {"type": "text", "text": "naked"}),
        (None, {"type": "text", "text": "[A part of the answer was left out: it isn't valid MCP]"}),
        ({"type": "novel", "text": 5}, note("novel")),
        ({"type": ["\x1b[2J"]}, note("['\\x1b[2J']")),
        ({"type": "text"}, note("text")),
        ({"type": "image", "data": "aGk="}, note("image")),
        ({"type": "resource", "resource": {"uri": "x:"}}, note("resource")),
        ({"type": "resource_link", "uri": "x:"}, {"type": "resource_link", "uri": "x:", "name": "x:"}),
        ({**GOOD, "annotations": "high", "_meta": []}, GOOD),
        ({**GOOD, "annotations": {"priority": 7}}, GOOD),
        ({**GOOD, "annotations": {"audience": ["everyone"]}}, GOOD),
    ],
)
def test_a_part_that_is_odd(part: Any, mended: dict[str, Any]) -> None:
    assert mended_answer({"content": [GOOD, part, GOOD]})["content"] == [GOOD, mended, GOOD]


@pytest.mark.parametrize(
    ("result", "mended"),
    [
        ({"content": [GOOD], "isError": None}, {"content": [GOOD], "isError": False}),
        ({"content": [GOOD], "isError": "yes"}, {"content": [GOOD], "isError": True}),
        ({"content": [GOOD], "isError": "false", "_meta": 5}, {"content": [GOOD], "isError": False}),
        ({"content": [GOOD], "structuredContent": [1]}, {"content": [GOOD], "isError": False}),
        ({"structuredContent": [1]}, {"content": [{"type": "text", "text": "[1]"}], "isError": False}),
        ({"structuredContent": {"a": 1}}, {"structuredContent": {"a": 1}, "content": [], "isError": False}),
        ({"toolResult": "old"}, {"content": [{"type": "text", "text": "old"}], "isError": False}),
        ({"isError": True}, {"content": [], "isError": True}),
        ({}, {"isError": False}),  # stays invalid
        ({"content": "no list"}, {"content": "no list", "isError": False}),  # and so does this
    ],
)
def test_an_answer_that_is_odd(result: dict[str, Any], mended: dict[str, Any]) -> None:
    assert mended_answer(result) == mended


def test_an_answer_of_too_many_parts_says_how_many_are_missing() -> None:
    content = mended_answer({"content": [GOOD] * (MAX_PARTS + 5)})["content"]
    assert len(content) == MAX_PARTS + 1
    assert content[-1]["text"] == "[Cut here: these are the first 10,000 of 10,005 parts.]"


def test_a_greeting_that_is_right_stays_as_it_is() -> None:
    whole = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"tools": {"listChanged": True}, "experimental": {"x": {"y": 1}}, "logging": {}},
        "serverInfo": {"name": "s", "version": "1"},
        "instructions": "Be kind.",
    }
    assert mended_greeting(whole) == whole
    discovered = {"supportedVersions": ["2026-07-28"], "capabilities": {}}
    assert mended_greeting(discovered) == discovered


@pytest.mark.parametrize("info", [None, ["a"], {"name": None, "version": 3}, {"icons": 5}])
def test_a_greeting_without_sense_is_one_that_says_less(info: Any) -> None:
    capabilities = {"tools": True, "prompts": {"listChanged": "yes"}, "logging": None, "experimental": {"x": 1}}
    said = {"protocolVersion": 3, "capabilities": capabilities, "serverInfo": info, "instructions": 5, "_meta": []}
    assert mended_greeting(said) == {
        "protocolVersion": "3",
        "capabilities": {"tools": {}, "prompts": {}, "experimental": {}},
        "serverInfo": {"name": "", "version": ""},
    }
    assert mended_greeting({"protocolVersion": "x", "capabilities": None})["capabilities"] == {}
