"""Forms of servers, every kind of field: what can be sent, and what is said of what can't."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.busy_server import ALL_KINDS
from tiny_agents.mcp_client.host.forms import choices_of, field_problem, form_problems
from tiny_agents.mcp_client.host.host import named_model, with_defaults
from tiny_agents.mcp_client.host.sampling import chat_messages, chat_tools

FILLED: dict[str, Any] = {
    "name": "Ada",
    "mail": "ada@example.com",
    "born": "1815-12-10",
    "age": 36,
    "color": "g",
    "tags": ["a", "c"],
}


def test_a_form_that_is_filled_in_well_gets_its_defaults() -> None:
    content = with_defaults(ALL_KINDS, {**FILLED, "size": None})
    assert content == {**FILLED, "share": 0.5, "member": True, "size": "l", "days": ["mo"]}
    assert form_problems(ALL_KINDS, content) == []


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", "A", "must have at least 2 characters"),
        ("name", "A" * 21, "must have at most 20 characters"),
        ("name", 3, "must be text"),
        ("mail", "ada", "must be an address such as ada@example.com"),
        ("born", "1815-13-10", "must be a date such as 2026-07-28"),
        ("born", "18151210", "must be a date such as 2026-07-28"),
        ("age", 17, "must be at least 18"),
        ("age", 121.0, "must be at most 120"),
        ("age", 20.5, "must be a whole number"),
        ("age", True, "must be a number"),
        ("age", "20", "must be a number"),
        ("share", float("nan"), "must be a number"),
        ("age", float("inf"), "must be a whole number"),
        ("share", float("inf"), "must be at most 1"),
        ("member", "yes", "must be true or false"),
        ("size", "m", "is none of the choices"),
        ("color", "Red", "is none of the choices"),
        ("tags", [], "must have at least 1 choices"),
        ("tags", ["a", "b", "c"], "must have at most 2 choices"),
        ("tags", ["a", "a"], "has the same choice twice"),
        ("tags", ["d"], "'d' is none of the choices"),
        ("tags", "a", "must be a list"),
        ("days", ["Monday"], "'Monday' is none of the choices"),
    ],
)
def test_what_does_not_fit_is_said(field: str, value: Any, problem: str) -> None:
    assert form_problems(ALL_KINDS, {**FILLED, field: value}) == [f"{field}: {problem}"]


def test_what_is_missing_or_not_asked_for_is_said() -> None:
    assert form_problems(ALL_KINDS, {"age": 20, "shoe": 3}) == ["name: missing", "shoe: the form has no such field"]


@pytest.mark.parametrize(
    ("format", "good", "bad"),
    [
        ("uri", "https://example.com/a?b", "example"),
        ("uri", "mailto:a@b", "a b://c"),
        ("uri", "urn:x", "http://[::1"),
        ("email", "a@b", "a@b@c"),
        ("date-time", "2026-07-28T15:30:00Z", "2026-07-28T15:30:00"),
        ("date-time", "2026-07-28T15:30:00+02:00", "2026-07-28"),
        ("unheard-of", "anything", None),
    ],
)
def test_formats(format: str, good: str, bad: str | None) -> None:
    assert field_problem({"type": "string", "format": format}, good) is None
    assert bad is None or field_problem({"type": "string", "format": format}, bad) is not None


def test_a_field_that_may_be_null_and_one_of_an_unknown_kind() -> None:
    schema = {
        "properties": {
            "n": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "o": {"type": "object"},
        }
    }
    assert with_defaults(schema, {}) == {}
    assert form_problems(schema, {"n": 3, "o": {"any": "thing"}}) == []
    assert form_problems(schema, {"n": "x"}) == ["n: must be a number"]
    assert choices_of({"enum": ["a", "b"], "enumNames": ["A"]}) == (("a", "a"), ("b", "b"))
    assert form_problems({"properties": 3, "required": 4}, {}) == []
    assert form_problems({"properties": {"n": {"type": "integer", "minimum": 10**400}}}, {"n": 3}) == []


def test_hints_name_one_of_our_models_in_their_order() -> None:
    ours = ["Qwen/Qwen3-32B", "meta/Llama-4-Scout"]
    assert named_model(["sonnet", "llama", "qwen"], ours) == "meta/Llama-4-Scout"
    assert named_model(["", "gpt"], ours) is None


def test_tools_of_a_sampling_request_go_to_the_model_as_it_takes_them() -> None:
    assert chat_tools([{"name": "math.add", "description": "Add\x1b[2J.", "inputSchema": {"type": "object"}}]) == [
        {
            "type": "function",
            "function": {"name": "math.add", "description": "Add.", "parameters": {"type": "object", "properties": {}}},
        }
    ]
    told = chat_messages(
        "S",
        [
            {"role": "user", "content": {"type": "text", "text": "?"}},
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "1", "name": "math.add", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "toolUseId": "1",
                        "isError": True,
                        "content": [{"type": "text", "text": "no"}],
                    }
                ],
            },
        ],
    )
    call = {"id": "1", "type": "function", "function": {"name": "math_add", "arguments": '{"a": 1}'}}
    assert told == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "Error: no"},
    ]
