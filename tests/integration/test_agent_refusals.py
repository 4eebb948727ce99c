"""Servers that don't take all of the protocol, and a client that does without."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import MCPClient, ProviderError
from tiny_agents.mcp_client.asking.turns import TurnOptions

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


async def turn(client: MCPClient, messages: list[Any], **options: Any) -> None:
    async for _ in client.process_single_turn_with_tools(messages, options=TurnOptions(**options)):
        pass


async def test_what_a_server_refuses_is_left_out_once_and_for_all() -> None:
    def strict(request: Recorded) -> Turn:
        if "stream_options" in request.body:
            return status(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"]}]})
        if any("reasoning_content" in message for message in request.body["messages"]):
            return status(400, {"error": {"message": "property 'reasoning_content' is unsupported"}})
        return raw(delta(reasoning_content="hm"), delta(content="hi"), delta("stop"))

    with OpenAIServer(strict) as server:
        async with asyncio.timeout(30), MCPClient(base_url=server.url, model="m") as client:
            messages: list[Any] = [{"role": "user", "content": "?"}]
            for _ in range(3):
                await turn(client, messages, params={"stream_options": {"include_usage": True}})
                messages.append({"role": "user", "content": "and?"})
            assert [m["content"] for m in messages] == ["?", "hi", "and?", "hi", "and?", "hi", "and?"]
            assert messages[1]["reasoning_content"] == "hm"  # kept, for a server that wants it
        assert len(server.chats) == 5  # three turns, and each refusal once


async def test_tools_are_offered_in_words_where_a_server_has_none(caplog: pytest.LogCaptureFixture) -> None:
    def plain(request: Recorded) -> Turn:
        body = request.body
        if body.get("tools"):
            return status(400, {"error": {"message": "registry.ollama.ai/library/gemma:2b does not support tools"}})
        if "response_format" not in body:
            return text("It is 3.")
        answered = any("3" in str(message["content"]) for message in body["messages"][1:])
        wanted = '{"tool": "none"}' if answered else '{"tool": "add", "arguments": {"a": 1, "b": 2}}'
        return text(wanted)

    with OpenAIServer(plain) as server, caplog.at_level(logging.WARNING, "tiny_agents"):
        async with asyncio.timeout(30), MCPClient(base_url=server.url, model="m") as client:
            client.add_tool(add)
            messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
            await turn(client, messages)
            await turn(client, messages)
        assert [m["role"] for m in messages] == ["user", "assistant", "tool", "assistant"]
        assert messages[2]["content"] == "3"
        assert messages[3]["content"] == "It is 3."
        assert sum("tools" in body for body in server.chats) == 1
        assert "tool_emulation" in caplog.text


async def test_an_error_about_something_else_stays_one() -> None:
    with OpenAIServer([status(400, {"error": {"message": "Invalid schema for function 'add'"}})]) as server:
        async with asyncio.timeout(30), MCPClient(base_url=server.url, model="m") as client:
            client.add_tool(add)
            with pytest.raises(ProviderError, match="Invalid schema"):
                await turn(client, [{"role": "user", "content": "?"}])
        assert len(server.chats) == 1


async def test_blocks_of_reasoning_go_back_as_they_came() -> None:
    block = {"type": "reasoning.text", "index": 0, "text": "I add.", "signature": "sig=="}
    signed = {"google": {"thought_signature": "EjQ="}}
    piece = {
        "index": 0,
        "id": "c",
        "function": {"name": "add", "arguments": '{"a": "1", "b": 2,}'},
        "extra_content": signed,
    }
    first = raw(delta(reasoning_details=[block]), delta(tool_calls=[piece]), delta("tool_calls"))
    with OpenAIServer([first, text("3")]) as server:
        async with asyncio.timeout(30), MCPClient(base_url=server.url, model="m") as client:
            client.add_tool(add)
            messages: list[Any] = [{"role": "user", "content": "1 + 2?"}]
            await turn(client, messages)
            await turn(client, messages)
        sent = server.chats[1]["messages"]
        assert sent[1]["reasoning_details"] == [block]
        assert sent[1]["tool_calls"][0]["extra_content"] == signed
        assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"a": "1", "b": 2}'
        assert sent[2]["content"] == "3"


async def test_calls_that_come_although_they_are_forbidden_are_answered_and_not_made() -> None:
    made: list[int] = []
    with OpenAIServer([calls(("note", {}))]) as server:
        async with asyncio.timeout(30), MCPClient(base_url=server.url, model="m") as client:
            client.add_tool(lambda: made.append(1), name="note")
            messages: list[Any] = [{"role": "user", "content": "?"}]
            await turn(client, messages, tools="none", note="The last call.")
        assert server.chats[0]["tool_choice"] == "none"
        assert server.chats[0]["messages"][-1]["content"] == "?\n\nThe last call."
        assert made == []
        assert "was not called" in messages[-1]["content"]
        assert messages[0]["content"] == "?"
