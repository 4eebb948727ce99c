"""An agent with 300 tools of real MCP servers: most of them are found by a search."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents import (
    Agent,
    ChatCompletionInputMessage,
    MCPClient,
    MemorySessionStore,
    ModelCall,
    Observer,
    Operation,
    Session,
    ToolsDeferred,
)
from tiny_agents.mcp_client.calls.gate import CallRequest

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

Serve = Callable[..., OpenAIServer]
SCRIPT = Path(__file__).parents[1] / "support" / "many_tools_server.py"


def server(name: str, count: int, *topics: str, **options: Any) -> dict[str, Any]:
    return {
        "type": "stdio",
        "name": name,
        "command": sys.executable,
        "args": [str(SCRIPT), str(count), *topics],
        **options,
    }


MANY = server("many", 300, "invoices", "parcels", "meetings")


def offered(chat: Any) -> list[str]:
    return [tool["function"]["name"] for tool in chat.get("tools") or []]


async def test_of_three_hundred_tools_those_are_sent_that_were_found(serve: Serve) -> None:
    model = serve(
        calls(("search_tools", {"query": "parcels number 148", "limit": 2})),
        calls(("parcels_148", {"value": "x"})),
        calls(("meetings_299", {"value": "y"})),
        text("Done."),
    )
    async with Agent(base_url=model.url, model="m", servers=[MANY]) as agent:
        await agent.load_tools()
        events = [item async for item in agent.run("Track parcel 148.", events=True) if isinstance(item, ToolsDeferred)]
        exit_tools = offered(model.chats[0])[:-1]
        first, second, third, last = (offered(chat)[len(exit_tools) :] for chat in model.chats)
        assert first == ["search_tools"]
        assert len(second) == 3
        assert "parcels_148" in second
        assert third == second
        assert set(last) == {*second, "meetings_299"}, "known by its name, though it was never found"
        results = [str(m["content"]) for m in agent.messages if m["role"] == "tool"]
        assert re.match(
            r"2 of 300 tools; they can be called now:\n- `parcels_148`\(value\): Handles parcels", results[0]
        )
        assert results[1:] == ["parcels_148 got x", "meetings_299 got y"]
        (event,) = events
        assert (event.sent, event.known) == (1 + len(exit_tools), 301 + len(exit_tools))
        assert 15_000 < event.tokens_saved < 60_000
        assert len(model.requests[0].raw) < 10_000
        assert_valid(agent.messages)
        assert len(agent.available_tools) == 301


async def test_filters_gates_and_prefixes_hold_for_what_is_found(serve: Serve) -> None:
    asked: list[str] = []

    async def gate(request: CallRequest) -> bool:
        asked.append(request.name)
        return "9" not in request.tool

    model = serve(
        calls(("search_tools", {"query": "parcels", "limit": 20})),
        calls(
            ("many__parcels_148", {"value": "x"}),
            ("many__parcels_199", {"value": "x"}),
            ("many__invoices_3", {"value": "x"}),
        ),
        text("Done."),
    )
    async with MCPClient(base_url=model.url, model="m", gate=gate) as client:
        options = {**MANY, "tools": {"allow": ["parcels_*"]}, "prefix": "always"}
        await client.add_mcp_server(**options)
        messages: list[Any] = [{"role": "user", "content": "go"}]
        for _ in range(3):
            async for _ in client.process_single_turn_with_tools(messages):
                pass
        found, allowed, refused, unknown = (str(m["content"]) for m in messages if m["role"] == "tool")
        assert found.startswith("20 of 100 tools")
        assert "invoices" not in found
        assert allowed == "parcels_148 got x"
        assert "was not allowed" in refused
        assert "there is no tool 'many__invoices_3'" in unknown
        assert asked == ["many.parcels_148", "many.parcels_199"], "nobody is asked about the search"


async def test_servers_are_deferred_as_they_say(serve: Serve) -> None:
    model = serve(text("Hello."))
    servers = [server("few", 3, "a", defer="always"), server("more", 70, "b", defer="never"), server("auto", 2, "c")]
    async with Agent(base_url=model.url, model="m", servers=servers, context={"max_tools": 100}) as agent:
        await agent.load_tools()
        await agent.run_to_completion("Hello")
        names = offered(model.chats[0])
        assert "a_0" not in names
        assert {"b_0", "b_69", "c_0", "search_tools"} <= set(names)


async def test_a_small_window_makes_fewer_tools_many(serve: Serve) -> None:
    model = serve(text("Hello."))
    async with Agent(
        base_url=model.url, model="m", servers=[server("few", 30, "a")], context={"max_tokens": 8_000}
    ) as agent:
        await agent.load_tools()
        await agent.run_to_completion("Hello")
        assert "a_0" not in offered(model.chats[0])


async def test_a_resumed_conversation_still_has_what_it_found(serve: Serve) -> None:
    model = serve(calls(("search_tools", {"query": "meetings 200", "limit": 1})), text("Found."), text("Still."))
    store = MemorySessionStore()
    async with Agent(base_url=model.url, model="m", servers=[MANY], session=Session(store)) as agent:
        await agent.load_tools()
        await agent.run_to_completion("Find it.")
    resumed = await Session.resume(store)
    async with Agent(base_url=model.url, model="m", servers=[MANY], session=resumed) as agent:
        await agent.load_tools()
        await agent.run_to_completion("And now?")
        assert "meetings_200" in offered(model.chats[-1])


async def test_functions_of_the_user_are_always_sent(serve: Serve) -> None:
    model = serve(text("Hello."))
    async with Agent(base_url=model.url, model="m", servers=[MANY]) as agent:
        await agent.load_tools()
        agent.add_tool(lambda: "mine", name="search", description="Mine.")
        await agent.run_to_completion("go")
        assert "search" in offered(model.chats[0])


class Renaming(Observer):
    """Does to the tools of each model call what nobody should."""

    def ended(self, operation: Operation) -> None:
        if isinstance(operation, ModelCall):
            operation.tools[-1].function.description += " Again."


@pytest.mark.parametrize("by", ["the list", "an observer", "another conversation's list"])
async def test_a_tool_that_is_changed_in_the_middle_of_a_run_is_sent_as_it_is_now(serve: Serve, by: str) -> None:
    model = serve(*[calls(("look", {}))] * 3, text("Done."))
    observers = [Renaming()] if by == "an observer" else []
    async with Agent(base_url=model.url, model="m", observers=observers) as agent:
        agent.add_tool(lambda: "seen", name="look", description="Looks.")
        agent.exit_loop_tools = []
        conversation = agent.new_conversation()
        owner = conversation if by == "the list" else agent
        turns = 0
        async for item in conversation.run("Look."):
            if isinstance(item, ChatCompletionInputMessage):
                turns += 1
                if by != "an observer" and turns > 1:  # the tools of the first turns were in nobody's hands
                    owner.available_tools[-1].function.description += " Again."
        sent = [chat["tools"][-1]["function"]["description"] for chat in model.chats]
        again = [0, 1, 2, 3] if by == "an observer" else [0, 0, 1, 2]
        assert sent == ["Looks." + " Again." * times for times in again]
