"""Many conversations on one connection to a server and one pool to the model: nothing of one gets into another."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.mcp_servers import busy_server
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tiny_agents import Agent, ChatCompletionInputMessage
from tiny_agents.mcp_client.events import ServerEvent, ServerLog, ServerLost, ToolAnswered, ToolProgress

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

SUPPORT = Path(__file__).parent.parent / "support"
SERVER = {"type": "stdio", "name": "sums", "command": sys.executable, "args": [str(SUPPORT / "sums_server.py")]}


def adds_what_it_is_told(request: Recorded) -> Turn:
    """Calls `add` with the number that the user said, twice over; then says what came of it."""
    said = request.body["messages"]
    if said[-1]["role"] == "tool":
        return text(f"It is {said[-1]['content']}.")
    number = int(said[-1]["content"].split()[-1])
    return calls(("add", {"a": number, "b": number}), ("add", {"a": number, "b": 1}))


async def test_conversations_at_the_same_time_get_their_own_results_and_keep_their_own_messages() -> None:
    with OpenAIServer(adds_what_it_is_told) as model:
        async with asyncio.timeout(120), Agent(base_url=model.url, model="m", servers=[SERVER]) as agent:
            await agent.load_tools()
            conversations = [agent.new_conversation() for _ in range(20)]
            for turn in range(2):
                results = await asyncio.gather(
                    *(
                        conversation.run_to_completion(f"Number {number + 100 * turn}")
                        for number, conversation in enumerate(conversations)
                    )
                )
                assert [result.text for result in results] == [f"It is {n + 100 * turn + 1}." for n in range(20)]
            for number, conversation in enumerate(conversations):
                told = [m["content"] for m in conversation.messages if m["role"] == "tool"]
                assert told == [str(n) for first in (number, number + 100) for n in (2 * first, first + 1)]
                assert_valid(conversation.messages)
            assert len(agent.messages) == 1
            sent = [chat["messages"] for chat in model.chats]
            assert all(
                len({int(m["content"].split()[-1]) % 100 for m in one if m["role"] == "user"}) == 1 for one in sent
            )


def works_as_often_as_it_is_told(request: Recorded) -> Turn:
    said = request.body["messages"]
    if said[-1]["role"] == "tool":
        return text("Done.")
    return calls(("work", {"steps": int(said[-1]["content"]), "seconds": 0}))


async def test_conversations_at_the_same_time_hear_of_their_own_calls_only() -> None:
    with OpenAIServer(works_as_often_as_it_is_told) as model:
        server = busy_server(name="s")
        async with asyncio.timeout(120), Agent(base_url=model.url, model="m", servers=[server]) as agent:
            await agent.load_tools()
            conversations = {steps: agent.new_conversation() for steps in range(2, 8)}
            heard: dict[int, list[Any]] = {}

            async def work(steps: int) -> None:
                heard[steps] = [item async for item in conversations[steps].run(str(steps), events=True)]

            with agent.events() as of_the_first:
                followed: list[ServerEvent] = []
                agent._events.follow(followed.append)
                await asyncio.gather(*map(work, conversations))
                assert list(of_the_first.taken()) == []
            for steps, items in heard.items():
                progress = [item.total for item in items if isinstance(item, ToolProgress)]
                answered = [item for item in items if isinstance(item, ToolAnswered)]
                assert set(progress) <= {steps}, "another conversation's call was told here"
                assert len(answered) == 1
            assert any(isinstance(item, ToolProgress) for items in heard.values() for item in items)
            assert (
                len([event for event in followed if isinstance(event, ToolAnswered)]) == 6
            )  # what logs them hears all


async def test_what_concerns_all_conversations_is_told_to_all_and_what_a_server_logs_to_the_first() -> None:
    script = [calls(("complain", {})), text("ok")]
    with OpenAIServer(script) as model:
        server = busy_server(name="s")
        async with asyncio.timeout(120), Agent(base_url=model.url, model="m", servers=[server]) as agent:
            await agent.load_tools()
            talking, other = agent.new_conversation(), agent.new_conversation()
            with agent.events() as first, other.events() as beside:
                said = [item async for item in talking.run("go", events=True)]
                assert not any(isinstance(item, ServerLog) for item in said)
                assert [type(event) for event in first.taken()] == [ServerLog]
                agent._events.emit_to_all(ServerLost("s", "went away"))
                assert list(first.taken()) == list(beside.taken()) == [ServerLost("s", "went away")]


async def test_a_conversation_that_is_aborted_disturbs_no_other() -> None:
    with OpenAIServer(adds_what_it_is_told) as model:
        async with asyncio.timeout(120), Agent(base_url=model.url, model="m", servers=[SERVER]) as agent:
            await agent.load_tools()
            left, others = agent.new_conversation(), [agent.new_conversation() for _ in range(5)]
            abort = asyncio.Event()

            async def aborted() -> None:
                async for item in left.run("Number 7", abort_event=abort):
                    if isinstance(item, ChatCompletionInputMessage):
                        abort.set()

            results = await asyncio.gather(aborted(), *(other.run_to_completion("Number 8") for other in others))
            assert left.stop_reason == "aborted"
            assert_valid(left.messages)
            assert [result.text for result in results[1:] if result is not None] == ["It is 9."] * 5
            assert (await left.run_to_completion("Number 3")).text == "It is 4."
