"""What servers refuse, in their own words; and requests without it."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents import ProviderError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.asking.refusals import ChatRequest, refusal_in, without
from tiny_agents.mcp_client.asking.turns import TurnOptions, chat_request, with_note

THOUGHT = ChatCompletionInputMessage(
    role="assistant", content="x", reasoning_content="hm", reasoning_details=[{"a": 1}]
)
SIGNED = {
    "role": "assistant",
    "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {}}}
    ],
}
SIGNED["tool_calls"][0]["extra_content"] = {"google": {"thought_signature": "s"}}  # type: ignore[index]
FULL = ChatRequest(
    [{"role": "user", "content": "?"}, THOUGHT, SIGNED],
    [{"type": "function"}],
    {"stream_options": {"include_usage": True}, "response_format": {"type": "json_schema"}, "reasoning_effort": "low"},
)


def name_of(status: int, said: str, request: ChatRequest = FULL) -> str | None:
    found = refusal_in(ProviderError(said, status=status), request)
    return found.name if found is not None else None


@pytest.mark.parametrize(
    ("status", "said", "name"),
    [
        (400, "property 'stream_options' is unsupported, did you mean 'stream'?", "token counts in streams"),
        (422, "{'type': 'extra_forbidden', 'loc': ['body', 'stream_options', 'include_usage']}", "token counts in streams"),
        (400, "('messages.1' : property 'reasoning_content' is unsupported)", "earlier reasoning"),
        (400, "messages[3].reasoning: reasoning is not supported with this model", "earlier reasoning"),
        (422, "Extra inputs are not permitted: messages.1.assistant.reasoning_details", "earlier reasoning"),
        (400, "Invalid JSON payload received. Unknown name \"extra_content\"", "earlier reasoning"),
        (400, "reasoning_effort is not supported with this model", None),
        (400, "This response_format type is unavailable now", "answers in a format"),
        (400, "json_schema is not supported by this model", "answers in a format"),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", "tools"),
        (404, "No endpoints found that support tool use. To learn more about provider routing, visit ...", "tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "tools"),
        (500, "Unsupported param: tools", "tools"),
        (500, "tools param requires --jinja flag", "tools"),
        (400, "`tool calling` is not supported with this model", "tools"),
        (400, "This model doesn't support function calling", "tools"),
        (400, "Function calling is not enabled for this model", "tools"),
        (400, "tool_choice 'required' is not supported", None),
        (400, "Invalid schema for function 'f'", None),
        (400, "maximum context length is 8192 tokens", None),
        (401, "registry.ollama.ai/library/gemma:2b does not support tools", None),
        (429, "stream_options is unsupported", None),
    ],
)  # fmt: skip
def test_what_is_refused_is_found_in_the_error(status: int, said: str, name: str | None) -> None:
    assert name_of(status, said) == name


@pytest.mark.parametrize(
    "said", ["does not support tools", "stream_options is unsupported", "reasoning is unsupported"]
)
def test_what_was_not_sent_was_not_refused(said: str) -> None:
    assert name_of(400, said, ChatRequest([{"role": "user", "content": "?"}])) is None


def test_a_request_goes_without_what_was_refused_and_the_history_keeps_it() -> None:
    less = without(FULL, {"token counts in streams", "earlier reasoning"})
    assert sorted(less.params) == ["reasoning_effort", "response_format"]
    assert less.messages[1] == {"role": "assistant", "content": "x"}
    assert "extra_content" not in less.messages[2]["tool_calls"][0]
    assert THOUGHT.reasoning_content == "hm"
    assert "extra_content" in SIGNED["tool_calls"][0]
    assert less.messages[0] is FULL.messages[0]


@pytest.mark.parametrize(
    ("last", "content"),
    [
        ({"role": "tool", "tool_call_id": "1", "content": "5"}, "5\n\nnote"),
        ({"role": "user", "content": ""}, "note"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            [{"type": "text", "text": "a"}, {"type": "text", "text": "note"}],
        ),
        (ChatCompletionInputMessage(role="user", content="hi"), "hi\n\nnote"),
    ],
)
def test_a_note_is_at_the_end_of_the_last_message_and_does_not_stay(last: Any, content: Any) -> None:
    before = last["content"]
    sent = with_note([{"role": "system", "content": "s"}, last], "note")
    assert sent[-1]["content"] == content
    assert sent[-1]["role"] == last["role"]
    assert last["content"] == before


def test_a_turn_without_tools_sends_none_or_forbids_them() -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "f"}}]
    assert chat_request([], tools, TurnOptions(tools="absent")).tools == ()
    forbidden = chat_request([], tools, TurnOptions(tools="none", params={"temperature": 0}))
    assert (forbidden.tools, forbidden.params) == (tools, {"tool_choice": "none", "temperature": 0})
    assert chat_request([], tools, TurnOptions()).params == {}


def test_tools_that_only_end_a_turn_are_simply_left_out() -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": name}} for name in ("task_complete", "add")]
    idle = chat_request([], tools[:1], TurnOptions(tools="none"), {"task_complete"})
    assert without(idle, {"tools"}) == ChatRequest([], (), {}, False)
    assert without(chat_request([], tools, TurnOptions(), {"task_complete"}), {"tools"}).tools == tools


def test_a_ban_on_tool_calls_that_a_server_does_not_know_is_left_out() -> None:
    tools: list[Any] = [{"type": "function", "function": {"name": "f"}}]
    banned = chat_request([], tools, TurnOptions(tools="none"))
    assert name_of(400, "Invalid value: 'none'. Supported values for tool_choice are 'auto'", banned) == "tool_choice"
    assert name_of(400, "tool_choice 'none' is not supported", banned) == "tool_choice"
    assert without(banned, {"tool_choice"}).params == {}
