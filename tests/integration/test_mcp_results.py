"""Images that tools return reach the model, or are described to it; what is too long can be read on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.mcp_servers import stdio_server
from tests.support.openai_server import OpenAIServer, Turn, calls, status, text
from tiny_agents.agent.agent import Agent
from tiny_agents.errors import ProviderError

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

DESCRIBED = "[Binary Content: Image image/png, 70 bytes]"
INTRODUCED = "[What the tools returned besides text, in the order of the calls: an image from 'picture'.]"


@asynccontextmanager
async def agent_with(*turns: Turn, **options: Any) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        async with asyncio.timeout(60), Agent(base_url=model.url, model="m", **options) as agent:
            await agent.add_mcp_server(**stdio_server(name="s"))
            yield agent, model
            assert_valid(agent.messages)


async def run(agent: Agent) -> list[Any]:
    items = []
    async for item in agent.run("?"):
        assert_valid(agent.messages)
        items.append(item)
    return items


async def test_an_image_follows_the_tool_messages() -> None:
    script = calls(("picture", {}), ("echo", {"text": "hi"}))
    async with agent_with(script, text("A pixel.")) as (agent, model):
        items = await run(agent)
    assert [item.content for item in items if getattr(item, "role", None)] == [DESCRIBED, "hi"]
    *_, tool, echo, shown = model.chats[1]["messages"]
    assert (tool["content"], echo["content"]) == (DESCRIBED, "hi")
    assert shown["role"] == "user"
    introduction, image = shown["content"]
    assert introduction == {"type": "text", "text": INTRODUCED}
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert agent.stop_reason == "done"


async def test_a_model_that_refuses_images_is_told_of_them_once_and_for_all() -> None:
    script = [calls(("picture", {})), status(400), calls(("picture", {})), text("Never mind.")]
    async with agent_with(*script) as (agent, model):
        await run(agent)
    first, refused, again, last = [chat["messages"] for chat in model.chats]
    assert [len(messages) for messages in (first, refused, again, last)] == [2, 5, 5, 7]
    assert isinstance(refused[-1]["content"], list)
    assert again[-1]["content"] == f"{INTRODUCED[:-1]} This model can't be shown them.]"
    assert last[-1] == {**last[-1], "role": "tool", "content": DESCRIBED}


async def test_a_model_that_takes_none_gets_words() -> None:
    async with agent_with(calls(("picture", {})), text("ok"), images=False) as (agent, model):
        await run(agent)
    assert model.chats[1]["messages"][-1]["content"] == DESCRIBED


async def test_a_refusal_is_an_error_where_images_were_asked_for() -> None:
    async with agent_with(calls(("picture", {})), status(400), images=True) as (agent, model):
        with pytest.raises(ProviderError):
            await run(agent)
        assert len(model.chats) == 2
        assert agent.messages[-1]["role"] == "assistant"


async def test_a_long_result_is_cut_and_read_on() -> None:
    script = [
        calls(("long_text", {"characters": 50_000})),
        calls(("read_on", {"result": "r1", "start": 40_000})),
        text("ok"),
    ]
    async with agent_with(*script) as (agent, model):
        await run(agent)
        offered = [[tool["function"]["name"] for tool in chat["tools"]] for chat in model.chats]
        assert "read_on" not in offered[0]
        assert offered[1] == [*offered[0], "read_on"]
        told = [message["content"] for message in agent.messages if message["role"] == "tool"]
    assert told[0].endswith("The tool 'read_on' reads on: result 'r1', start 40000.]")
    assert told[1] == "x" * 10_000 + "\n[Characters 40,000 to 50,000 of 50,000; this is the end.]"
