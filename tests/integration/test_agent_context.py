"""An agent whose conversation becomes longer than its model takes, against a server that refuses what is too long."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import (
    Agent,
    AsyncInferenceClient,
    ContextCompacted,
    ContextSettings,
    Limits,
    MemorySessionStore,
    ProviderError,
    Session,
    SqliteSessionStore,
    UsageError,
)

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

Serve = Callable[..., OpenAIServer]


def tokens(body: Any) -> int:
    """What this server counts; not quite what we estimate."""
    return len(json.dumps([body["messages"], body.get("tools")])) // 3


def is_for_summary(body: Any) -> bool:
    return str(body["messages"][0]["content"]).startswith("You write the memory of an assistant.")


class Model:
    """Calls a tool for each request, then answers; takes `window` tokens, and counts them for those who ask."""

    def __init__(self, window: int, *, summary: Turn | None = None, counts: bool = True) -> None:
        self.window = window
        self.refused = self.summaries = 0
        self.largest = 0
        self._summary = summary
        self._counts = counts
        self._lock = threading.Lock()
        self._calls = 0

    def __call__(self, request: Recorded) -> Turn:
        with self._lock:
            return self._answer(request.body)

    def _answer(self, body: Any) -> Turn:
        assert_valid(body["messages"])
        size = tokens(body)
        if size > self.window:
            self.refused += 1
            said = f"This model's maximum context length is {self.window} tokens. "
            said += f"However, your messages resulted in {size} tokens."
            return status(400, {"error": {"message": said, "code": "context_length_exceeded"}})
        self.largest = max(self.largest, size)
        usage: list[Any] = (
            [{"choices": [], "usage": {"prompt_tokens": size, "completion_tokens": 9}}] if self._counts else []
        )
        if is_for_summary(body):
            self.summaries += 1
            said = f"Summary {self.summaries}: the code word is xyzzy."
            return self._summary or raw(delta(content=said), delta("stop"), *usage)
        self._calls += 1
        last = body["messages"][-1]
        if last["role"] == "user" and body.get("tools"):
            call = {
                "index": 0,
                "id": f"c{self._calls}",
                "type": "function",
                "function": {"name": "look", "arguments": "{}"},
            }
            return raw(delta(tool_calls=[call]), delta("tool_calls"), *usage)
        return raw(delta(content=f"Answer {self._calls}: " + "it is so " * 20), delta("stop"), *usage)


def look() -> str:
    """Look."""
    return "found it " * 40


async def talk(agent: Agent, requests: int) -> list[ContextCompacted]:
    events = []
    for number in range(requests):
        async for item in agent.run(f"request {number}: " + "please look " * 15, events=True):
            if isinstance(item, ContextCompacted):
                events.append(item)
        assert agent.stop_reason == "done"
    return events


async def test_a_server_s_refusal_teaches_the_window_and_the_conversation_goes_on(serve: Serve) -> None:
    model = Model(2_500)
    server = serve(model)
    async with Agent(base_url=server.url, model="m", prompt="Be brief.") as agent:
        agent.add_tool(look)
        assert agent.context.max_tokens is None
        events = await talk(agent, 25)
        assert model.refused == 1, "it is learnt once"
        assert agent.context.max_tokens == 2_500
        assert len(events) == model.summaries >= 3
        assert all(event.by == "summary" and event.after < event.before <= 2_700 for event in events)
        assert len(agent.messages) == 1 + 25 * 4, "nothing of the conversation is lost"
        assert_valid(agent.messages)
        assert agent.usage.model_calls == 50 + model.summaries
        assert not agent.usage.estimated
        last = server.chats[-1]["messages"]
        assert f"Summary {model.summaries}: the code word is xyzzy." in last[1]["content"]
        assert abs(agent.context.tokens - tokens(server.chats[-1])) < 250, (
            "what the server counts corrects the estimate"
        )


async def test_a_window_that_is_known_is_never_exceeded(serve: Serve) -> None:
    model = Model(3_000, counts=False)
    server = serve(model)
    settings = ContextSettings(max_tokens=3_000, at=0.6)
    async with Agent(base_url=server.url, model="m", prompt="Be brief.", context=settings) as agent:
        agent.add_tool(look)
        assert len(await talk(agent, 25)) == model.summaries >= 2
        assert model.refused == 0
        assert model.largest < 3_000
        assert agent.usage.estimated


async def test_where_compaction_is_off_the_refusal_is_an_error(serve: Serve) -> None:
    server = serve(Model(1_500))
    async with Agent(base_url=server.url, model="m", context={"compact": "off"}) as agent:
        agent.add_tool(look)
        with pytest.raises(ProviderError, match="maximum context length is 1500"):
            await talk(agent, 10)
        assert_valid(agent.messages)


async def test_what_can_never_fit_is_an_error_too(serve: Serve) -> None:
    model = Model(1_000)
    server = serve(model)
    async with Agent(base_url=server.url, model="m") as agent:
        with pytest.raises(ProviderError, match="maximum context length"):
            await agent.run_to_completion("x" * 9_000)
        assert model.refused == 1
        assert len(agent.messages) == 1


@pytest.mark.parametrize("summary", [status(500), raw(delta("stop"))])
async def test_without_a_summary_the_oldest_messages_are_left_out(serve: Serve, summary: Turn) -> None:
    model = Model(2_500, summary=summary)
    server = serve(model)
    async with (
        AsyncInferenceClient(base_url=server.url, max_retries=0) as client,
        Agent(client=client, model="m", context={"max_tokens": 2_500}) as agent,
    ):
        agent.add_tool(look)
        events = await talk(agent, 12)
        assert {event.by for event in events} == {"cut"}
        assert "were left out here without a summary" in server.chats[-1]["messages"][1]["content"]


async def test_a_summary_counts_in_the_limits_of_its_request(serve: Serve) -> None:
    model = Model(2_500)
    server = serve(model)
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500}, max_turns=2) as agent:
        agent.add_tool(look)
        before = 0
        for number in range(20):
            result = await agent.run_to_completion(f"request {number}: " + "please look " * 15)
            made = len(server.chats) - before
            before = len(server.chats)
            assert made <= 2
            assert result.model_calls == made
            assert_valid(agent.messages)
        assert model.refused == 0


async def test_a_resumed_conversation_is_not_summed_up_again(serve: Serve, tmp_path: Path) -> None:
    model = Model(2_500)
    server = serve(model)
    store = SqliteSessionStore(tmp_path / "sessions.db")
    session = Session(store, secrets=["xyzzy"])
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500}, session=session) as agent:
        agent.add_tool(look)
        await talk(agent, 12)
        agent.context.pin(1)
        summary, count = agent.context.summary, model.summaries
        assert await agent.compact() is None, "it was just done"
    resumed = await Session.resume(store, session.id)
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500}, session=resumed) as agent:
        agent.add_tool(look)
        assert summary is not None
        assert agent.context.summary == summary.replace("xyzzy", "***"), "no secrets in what is saved"
        assert agent.context.pinned == [agent.messages[1]]
        assert len(agent.messages) == 49
        await talk(agent, 1)
        assert model.summaries == count
        assert len(server.chats[-1]["messages"]) < 25
    fork = await store.call(store.database.fork, session.id, 9)
    forked = await Session.resume(store, fork.id)
    async with Agent(base_url=server.url, model="m", session=forked) as agent:
        assert agent.context.summary is None, "what was summed up isn't cut off here"
    await store.close()


async def test_a_session_that_is_only_looked_at_loses_nothing(serve: Serve) -> None:
    server = serve(Model(9_000))
    store = MemorySessionStore()
    session = Session(store)
    async with Agent(base_url=server.url, model="m", session=session) as agent:
        agent.add_tool(look)
        await talk(agent, 8)
        assert await agent.compact() is not None
    for _ in range(2):
        resumed = await Session.resume(store)
        async with Agent(base_url=server.url, model="m", session=resumed) as agent:
            assert len(agent.messages) == 33
            assert agent.context.summary == "Summary 1: the code word is xyzzy."
            assert await agent.compact() is None
    assert (await store.list())[0].messages == 33


async def test_a_conversation_is_summed_up_when_its_user_wants_it(serve: Serve) -> None:
    model = Model(9_000)
    server = serve(model)
    async with Agent(base_url=server.url, model="m", context={"keep": 1}) as agent:
        agent.add_tool(look)
        await talk(agent, 6)
        event = await agent.compact()
        assert event is not None
        assert event.after < event.before
        assert agent.usage.model_calls == 13
        run = agent.run("again")
        await anext(run)
        with pytest.raises(UsageError, match="still busy"):
            await agent.compact()
        await run.aclose()
        assert_valid(agent.messages)
        assert len(agent.messages) >= 25


async def test_taking_a_request_back_that_was_summed_up_in_its_middle_leaves_a_valid_view(serve: Serve) -> None:
    model = Model(2_500)
    server = serve(model)
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500, "keep": 1}) as agent:
        agent.add_tool(look)
        await talk(agent, 9)
        while len(agent.messages) > 5:
            agent.rollback()
        await talk(agent, 1)
        assert len(server.chats[-1]["messages"]) == len(agent.messages) - 1
        assert agent.context.summary is None


async def test_leaving_while_a_summary_is_written_leaves_a_valid_history(serve: Serve) -> None:
    slow = raw(delta(content="Sum"), then="stall")
    model = Model(2_500, summary=slow)
    server = serve(model)
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500}) as agent:
        agent.add_tool(look)
        abort = asyncio.Event()
        for number in range(12):
            items = agent.run(f"request {number}: " + "please look " * 15, abort_event=abort)
            async with asyncio.timeout(20):
                task = asyncio.ensure_future(_drain(items))
                while not task.done() and not model.summaries:
                    await asyncio.sleep(0.005)
                if model.summaries:
                    abort.set()
                await task
            assert_valid(agent.messages)
            if model.summaries:
                break
        assert agent.stop_reason == "aborted"
        assert agent.context.summary is None


async def _drain(items: Any) -> None:
    async for _ in items:
        pass


async def test_the_time_limit_ends_a_summary_too(serve: Serve) -> None:
    model = Model(2_500, summary=raw(delta(content="Sum"), then="stall"))
    server = serve(model)
    async with Agent(base_url=server.url, model="m", context={"max_tokens": 2_500}) as agent:
        agent.add_tool(look)
        for number in range(12):
            result = await agent.run_to_completion(
                f"request {number}: " + "please look " * 15, limits=Limits(seconds=0.5)
            )
            if model.summaries:
                break
        assert result.stop_reason == "time_limit"
        assert_valid(agent.messages)


async def test_long_results_are_read_in_pieces_of_the_size_that_is_set(serve: Serve) -> None:
    server = serve(
        calls(("long", {})), calls(("read_on", {"result": "r1", "start": 1000, "length": 5000})), text("Done.")
    )
    async with Agent(base_url=server.url, model="m", context={"result_max_chars": 1_000}) as agent:
        agent.add_tool(lambda: "0123456789" * 300, name="long")
        await agent.run_to_completion("go")
        told, piece = (str(m["content"]) for m in agent.messages if m["role"] == "tool")
        cut = "[Cut here: these are the first 1,000 of 3,000 characters. "
        assert told.endswith(f"{cut}The tool 'read_on' reads on: result 'r1', start 1000.]")
        assert len(piece) < 1_000
        assert piece.endswith("[Characters 1,000 to 1,800 of 3,000; go on with start 1800.]")
