"""Many conversations on one connection to a server and one pool to the model: nothing of one gets into another."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tiny_agents import Agent, ChatCompletionInputMessage

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
