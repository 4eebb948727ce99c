"""Tools that come and go while a server runs, which of them are offered, and how long a call may take."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from mcp.server.mcpserver import Context, MCPServer

from tests.support.mcp_servers import bad_server, busy_server, no_model
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents.agent.agent import Agent
from tiny_agents.errors import ServerTimeoutError, UsageError
from tiny_agents.mcp_client.client import MCPClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def names(client: MCPClient) -> list[str]:
    return [tool.function.name for tool in client.available_tools]


async def offers(client: MCPClient, expected: list[str]) -> None:
    async with asyncio.timeout(30):
        while names(client) != expected:
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- tools that change


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_tools_that_a_server_announces_are_offered(era: str) -> None:
    async with asyncio.timeout(60), no_model() as client:
        if era == "legacy":
            await client.add_mcp_server(**bad_server("learns", name="s"))
            before, more = ["ping", "leave"], [("ping", {}, "learned_1"), ("ping", {}, "learned_2")]
        else:
            await client.add_mcp_server(**busy_server(name="s"))
            before, more = names(client), [("learn", {"word": "ah"}, "ah"), ("learn", {"word": "oh"}, "oh")]
        for tool, arguments, name in more:
            assert (await client.call_tool(tool, arguments)).text == "learned"
            before = [*before, name]
            await offers(client, before)
        assert client.connections["s"].state == "ready"


async def test_what_is_left_out_stays_out_when_the_tools_change() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("learns", tools={"allow": ["ping", "learned_*"], "deny": ["*_1"]}))
        assert names(client) == ["ping"]
        await client.call_tool("ping")
        await client.call_tool("ping")
        await offers(client, ["ping", "learned_2"])


async def test_a_flood_of_notices_does_not_become_a_flood_of_questions() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("learns", "20000"))
        await client.call_tool("ping")
        await offers(client, ["ping", "leave", "learned_1"])
        assert (await client.call_tool("ping")).text == "learned"


async def test_a_turn_keeps_the_tools_it_began_with() -> None:
    script = [calls(("ping", {}), ("learned_1", {})), calls(("learned_1", {})), text("ok")]
    with OpenAIServer(script) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
            await client.add_mcp_server(**bad_server("learns", name="s"))
            messages: list[Any] = [{"role": "user", "content": "?"}]
            async for item in client.process_single_turn_with_tools(messages):
                if getattr(item, "name", None) == "ping":
                    while len(client.connections["s"].tools) == 2:
                        await asyncio.sleep(0.01)
            assert messages[3]["content"].startswith("Error: there is no tool 'learned_1'.")
            async for _ in client.process_single_turn_with_tools(messages):
                pass
    assert messages[5]["content"] == "learned"
    offered = [[tool["function"]["name"] for tool in chat["tools"]] for chat in model.chats]
    assert offered == [["ping", "leave"], ["ping", "leave", "learned_1"]]


async def test_a_pattern_that_fits_nothing_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60), no_model() as client:
        with caplog.at_level(logging.WARNING, "tiny_agents"):
            await client.add_mcp_server(**bad_server("well_behaved", name="s", tools={"deny": ["leav", "rm_*"]}))
    assert "MCP server 's' has no tool 'leav' (tools.deny), 'rm_*' (tools.deny); it offers: ping, leave" in caplog.text


# ---------------------------------------------------------------- servers and functions in this process


async def test_a_server_object_is_a_server_like_any_other() -> None:
    server = MCPServer("little-helper", log_level="ERROR")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    @server.tool(structured_output=False)
    async def learn(word: str, ctx: Context) -> str:  # type: ignore[type-arg]
        server.add_tool(lambda: word, name=word, structured_output=False)
        await ctx.notify_tools_changed()
        return "learned"

    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server("inprocess", server=server, tools={"deny": ["secret_*"]})
        assert list(client.connections) == ["little-helper"]
        assert (await client.call_tool("add", {"a": 1, "b": 2})).text == "3"
        assert (await client.call_tool("add", {"a": "x"})).is_error
        await client.call_tool("learn", {"word": "oh"})
        await offers(client, ["add", "learn", "oh"])
        assert (await client.call_tool("oh")).text == "oh"
        with pytest.raises(UsageError, match="'server' must be an MCPServer or Server of the package mcp, not dict"):
            await client.add_mcp_server("inprocess", server={})
        await asyncio.create_task(client.cleanup())
        assert client.connections["little-helper"].state == "closed"


async def test_functions_are_tools_too() -> None:
    script = [calls(("add", {"a": 1, "b": "2"}), ("function__ping", {}), ("ping", {}), ("fails", {})), text("3")]
    with OpenAIServer(script) as model:
        async with asyncio.timeout(60), Agent(base_url=model.url, model="m") as agent:
            await agent.add_mcp_server(**bad_server("well_behaved", name="s"))

            @agent.add_tool
            def add(a: int, b: int = 1) -> int:
                """Add two numbers."""
                return a + b

            async def fails() -> None:
                raise RuntimeError("no paper")

            agent.add_tool(fails)
            agent.add_tool(lambda: "mine", name="ping")
            assert add(2) == 3
            assert names(agent) == ["ping", "leave", "add", "fails", "function__ping"]
            async for _ in agent.run("?"):
                pass
            told = [message["content"] for message in agent.messages if message["role"] == "tool"]
            assert told == ["3", "mine", "pong", "Error: RuntimeError: no paper"]
            assert (await agent.call_tool("add", {"a": 4})).structured_content == 5
    described = {tool["function"]["name"]: tool["function"].get("description") for tool in model.chats[0]["tools"]}
    assert described["add"] == "Add two numbers."
    with pytest.raises(UsageError, match="has been closed"):
        agent.add_tool(add, name="sum")


# ---------------------------------------------------------------- how long a call may take


async def test_a_call_goes_on_as_long_as_it_reports_progress() -> None:
    async with asyncio.timeout(60), no_model(tool_timeout=30) as client:
        await client.add_mcp_server(**busy_server(name="s", tool_timeout=1.5))
        assert (await client.call_tool("work", {"steps": 8, "seconds": 0.4})).text == "done"
        with pytest.raises(
            ServerTimeoutError, match=r"within 1.5 s after its last report of progress \(tool_timeout\)"
        ):
            await client.call_tool("work", {"steps": 1, "seconds": 600})
        assert (await client.call_tool("work", {"steps": 1, "seconds": 0})).text == "done"


async def test_a_server_may_have_limits_of_its_own() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**busy_server(name="quick", tool_timeout=0.3, startup_timeout=30))
        with pytest.raises(ServerTimeoutError, match="within 0.3 s"):
            await client.call_tool("work", {"steps": 1, "seconds": 600})
