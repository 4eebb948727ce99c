"""Callers who want to can see what happens at the servers, in the same iteration as everything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.hosts import RecordingHost
from tests.support.mcp_servers import bad_server, busy_server
from tests.support.openai_server import OpenAIServer, Turn, calls, text
from tiny_agents.agent.agent import Agent
from tiny_agents.agent.runs import run_of
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ServerAsked, ServerLog, ServerLost, ServerReturned, ToolAnswered, ToolProgress

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

QUESTION: dict[str, Any] = {"role": "user", "content": "?"}


async def turn_with_events(client: MCPClient) -> list[Any]:
    """What is yielded, but for the chunks; of answered calls the texts."""
    messages: list[Any] = [QUESTION]
    items = []
    async for item in client.process_single_turn_with_tools(messages, events=True):
        assert_valid(messages)
        if isinstance(item, ToolAnswered):
            items.append((item.call_id, item.server, item.tool, item.result.text))
        elif not isinstance(item, ChatCompletionStreamOutput):
            items.append(item.content if isinstance(item, ChatCompletionInputMessage) else item)
    assert_valid(messages)
    return items


async def client_of(model: OpenAIServer, server: dict[str, Any], **options: Any) -> MCPClient:
    client = MCPClient(base_url=model.url, model="m", **options)
    await client.add_mcp_server(**server)
    return client


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_progress_logs_and_questions_are_seen_while_calls_run(protocol: str) -> None:
    script: list[Turn] = [
        calls(("work", {"steps": 2, "seconds": 0})),
        calls(("complain", {})),
        calls(("ask", {"what": "url"})),
        text("ok"),
    ]
    with OpenAIServer(script) as model:
        async with asyncio.timeout(60):
            server = busy_server(name="s", protocol=protocol)
            async with await client_of(model, server, host=RecordingHost()) as client:
                steps = [ToolProgress("s", "work", n, 2, f"step {n}") for n in (1, 2)]
                assert await turn_with_events(client) == [*steps, ("call_0", "s", "work", "done"), "done"]
                log, _, _ = await turn_with_events(client)
                assert log == ServerLog("s", "warning", {"paper": "low"}, "tray")
                asked, _, answer = await turn_with_events(client)
                assert isinstance(asked, ServerAsked)
                assert asked.request.message == "Log in"  # type: ignore[union-attr]
                assert '"accept"' in answer
                assert await turn_with_events(client) == []


async def test_a_server_is_seen_to_go_and_to_come_back() -> None:
    with OpenAIServer([calls(("leave", {})), calls(("ping", {}))]) as model:
        async with asyncio.timeout(60):
            async with await client_of(model, bad_server("well_behaved", name="s")) as client:
                lost, told = await turn_with_events(client)
                assert lost == ServerLost("s", "exited with status 5")
                assert told.startswith("Error: MCP server 's' exited with status 5")
                assert await turn_with_events(client) == [ServerReturned("s"), ("call_0", "s", "ping", "pong"), "pong"]


async def test_without_being_asked_for_nothing_of_this_is_yielded() -> None:
    with OpenAIServer([calls(("work", {"steps": 3, "seconds": 0}))]) as model:
        async with asyncio.timeout(60):
            async with await client_of(model, busy_server(name="s")) as client:
                async for item in client.process_single_turn_with_tools([QUESTION]):
                    assert isinstance(item, (ChatCompletionStreamOutput, ChatCompletionInputMessage))


async def test_leaving_at_an_event_cancels_the_call_and_leaves_a_valid_history() -> None:
    with OpenAIServer([calls(("work", {"steps": 2, "seconds": 600}))]) as model:
        async with asyncio.timeout(60):
            async with await client_of(model, busy_server(name="s")) as client:
                messages: list[Any] = [QUESTION]
                async with aclosing(client.process_single_turn_with_tools(messages, events=True)) as items:
                    async for item in items:
                        if isinstance(item, ToolProgress):
                            break
                assert_valid(messages)
                assert messages[-1]["content"].startswith("Error: this call was interrupted")
                assert (await client.call_tool("work", {"steps": 1, "seconds": 0})).text == "done"


async def test_cancelling_a_turn_with_events_ends_it_whole() -> None:
    with OpenAIServer([calls(("work", {"steps": 2, "seconds": 600}))]) as model:
        async with asyncio.timeout(60):
            async with await client_of(model, busy_server(name="s")) as client:
                messages: list[Any] = [QUESTION]
                seen = asyncio.Event()

                async def watch() -> None:
                    async for item in client.process_single_turn_with_tools(messages, events=True):
                        if isinstance(item, ToolProgress):
                            seen.set()

                running = asyncio.create_task(watch())
                await seen.wait()
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running
                assert_valid(messages)
                assert not [task for task in asyncio.all_tasks() if "_next" in str(task.get_coro())]


async def test_an_agent_shows_them_too_and_can_be_aborted_meanwhile() -> None:
    script = [calls(("work", {"steps": 1, "seconds": 0})), calls(("work", {"steps": 2, "seconds": 600}))]
    with OpenAIServer(script) as model:
        async with asyncio.timeout(60), Agent(base_url=model.url, model="m") as agent:
            await agent.add_mcp_server(**busy_server(name="s"))
            abort = asyncio.Event()
            seen = []
            async for item in agent.run("?", abort_event=abort, events=True):
                assert_valid(agent.messages)
                if isinstance(item, ToolProgress):
                    seen.append(item.total)
                    if len(seen) == 2:
                        abort.set()
            assert_valid(agent.messages)
    assert seen == [1, 2]
    assert agent.stop_reason == "aborted"
    assert agent.messages[-2]["content"].startswith("Error: this call was interrupted")


def in_one_packet(turn: Turn) -> Turn:
    return replace(turn, events=[b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in turn.events)])


class Terse(Agent):
    """Its turns leave out all chunks but the first."""

    async def process_single_turn_with_tools(self, *args: Any, **options: Any) -> AsyncGenerator[Any, None]:
        first = True
        async for item in super().process_single_turn_with_tools(*args, **options):
            if first or not isinstance(item, ChatCompletionStreamOutput):
                yield item
            first = False


async def with_events_at_once(agent: Agent) -> AsyncGenerator[Any, None]:
    async for item in agent.run("?", events=True):
        yield item


async def with_events_later(agent: Agent) -> AsyncGenerator[Any, None]:
    """As a display that gets an iteration of which somebody has taken something."""
    items = agent.run("?")
    for _ in range(3):
        yield await anext(items)
    run = run_of(items)
    assert run is not None
    async for item in run.with_events(items):
        yield item


@pytest.mark.parametrize(
    ("kind", "run"), [(Agent, with_events_at_once), (Agent, with_events_later), (Terse, with_events_at_once)]
)
async def test_a_call_is_followed_though_all_of_the_answer_came_at_once(
    kind: type[Agent], run: Callable[[Agent], AsyncGenerator[Any, None]]
) -> None:
    script = [in_one_packet(calls(("ping", {})))]
    with OpenAIServer(script) as model:
        async with asyncio.timeout(60), kind(base_url=model.url, model="m") as agent:
            await agent.add_mcp_server(**bad_server("reports_progress_and_never_ends", name="s"))
            async with aclosing(run(agent)) as items:
                async for item in items:
                    if isinstance(item, ToolProgress):
                        break
    assert item == ToolProgress("s", "ping", 1, 2)


@pytest.mark.parametrize("events", [True, False])
async def test_who_leaves_in_the_middle_of_what_came_at_once_keeps_what_they_saw(events: bool) -> None:
    said = [f"{number} " for number in range(100)]
    with OpenAIServer([in_one_packet(text(*said))]) as model:
        async with asyncio.timeout(60), Agent(base_url=model.url, model="m") as agent:
            seen = ""
            async with aclosing(agent.run("?", events=events)) as items:  # type: ignore[call-overload]
                async for item in items:
                    seen += item.choices[0].delta.content
                    if seen.endswith(" 41 "):
                        break
            assert agent.messages[-1]["content"] == seen == "".join(said[:42])
            assert agent.stop_reason == "aborted"
