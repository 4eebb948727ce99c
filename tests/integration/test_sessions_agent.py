"""What of a conversation is saved, and when: a real loop, a scripted model, a store that shows what it has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import Agent, ProviderError
from tiny_agents.agent.sessions.session import Session
from tiny_agents.agent.sessions.store import MemorySessionStore
from tiny_agents.agent.sessions.types import Change, SessionInfo
from tiny_agents.errors import SessionInUseError, SessionNotFoundError, SessionStoreError, UsageError

pytestmark = [pytest.mark.integration, pytest.mark.anyio]


class Watched(MemorySessionStore):
    """Remembers how each change left a session: (role, content) of its messages."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[tuple[str, Any]]] = []
        self.changes: list[Change] = []
        self.failure: Exception | None = None

    async def write(self, session_id: str, change: Change) -> None:
        if self.failure is not None:
            raise self.failure
        await super().write(session_id, change)
        self.changes.append(change)
        self.steps.append(self.said(session_id))

    def said(self, session_id: str) -> list[tuple[str, Any]]:
        messages = [saved.message for saved in self._sessions[session_id].messages]
        assert_valid(messages)
        return [(message["role"], message.get("content")) for message in messages[1:]]


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


@asynccontextmanager
async def agent_with(
    turns: Sequence[Turn] | Callable[[Recorded], Turn], session: Session, **arguments: Any
) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        async with asyncio.timeout(30), Agent(base_url=model.url, model="m", session=session, **arguments) as agent:
            agent.add_tool(add)
            yield agent, model


async def run(agent: Agent, request: str) -> str:
    written = ""
    async for item in agent.run(request):
        if item.get("choices"):
            written += item.choices[0].delta.content or ""
    return written


async def test_every_message_is_saved_when_it_is_complete_and_the_calls_before_they_run() -> None:
    store = Watched()
    seen_by_the_tool: list[Any] = []

    def look() -> str:
        """What is saved while a tool runs."""
        seen_by_the_tool.extend(store.steps[-1])
        return "looked"

    session = Session(store)
    async with agent_with([calls(("look", {})), text("Done.")], session) as (agent, _):
        agent.add_tool(look)
        await run(agent, "Look!")
    assert [role for role, _ in seen_by_the_tool] == ["user", "assistant", "tool"]
    assert "interrupted" in seen_by_the_tool[-1][1]
    assert store.steps[0] == [("user", "Look!")], "before the model was asked"
    assert [("user", "Look!"), ("assistant", None), ("tool", "looked")] in store.steps
    assert store.steps[-1] == [("user", "Look!"), ("assistant", None), ("tool", "looked"), ("assistant", "Done.")]
    (info,) = await store.list()
    assert (info.title, info.stop, info.messages, info.about.tools) == ("Look!", "done", 5, ("add", "look"))


async def test_a_resumed_conversation_goes_on_and_only_what_is_new_is_written() -> None:
    store = Watched()
    first = Session(store)
    async with agent_with([calls(("add", {"a": 1, "b": 2})), text("3.")], first) as (agent, _):
        await run(agent, "1 + 2?")
        said = [message.to_dict() for message in agent.messages]
        with pytest.raises(SessionInUseError):
            await Session.resume(store, first.id)
    store.changes.clear()
    again = await Session.resume(store, first.id[:5])
    async with agent_with([text("Yes.")], again) as (agent, model):
        assert [message.to_dict() for message in agent.messages] == said
        await run(agent, "Sure?")
        assert [message["role"] for message in model.chats[0]["messages"]] == [
            "system", "user", "assistant", "tool", "assistant", "user",
        ]  # fmt: skip
    assert [(sorted(change.puts), change.stop) for change in store.changes] == [([5], None), ([6], None), ([], "done")]


async def test_a_request_that_failed_is_taken_back_there_too() -> None:
    store = Watched()
    async with agent_with([status(400, {"error": "no"})], Session(store)) as (agent, _):
        with pytest.raises(ProviderError):
            await run(agent, "go")
    assert store.steps == [[("user", "go")], []]


async def test_the_text_of_an_answer_is_saved_while_it_is_written() -> None:
    store = Watched()
    now = iter(range(0, 10_000, 10))
    session = Session(store, clock=lambda: next(now))
    async with agent_with([raw(delta(content="So far"), delta(content=" so good"), then="stall")], session) as (
        agent,
        _,
    ):
        items = agent.run("go")
        async for item in items:
            if item.choices[0].delta.content == " so good":
                break
        while not any(change.partial for change in store.changes):
            await asyncio.sleep(0)
        stored = store._sessions[session.id]
        assert stored.partial.startswith("So far")
        crashed = MemorySessionStore()
        crashed._sessions[session.id] = stored
        back = await Session.resume(crashed)
        assert back.interrupted
        assert [message["content"] for message in back.history([])][-2:] == ["go", stored.partial]
        await items.aclose()
    assert store.steps[-1] == [("user", "go"), ("assistant", "So far so good")]
    assert store.changes[-1].partial == ""


async def test_a_store_that_fails_is_said_once_and_gets_everything_later(caplog: pytest.LogCaptureFixture) -> None:
    store = Watched()
    session = Session(store)
    async with agent_with([text("One."), text("Two."), text("Three."), text("Four.")], session) as (agent, _):
        await run(agent, "1")
        store.failure = SessionStoreError("the disk is full", path="sessions.db")
        with caplog.at_level(logging.WARNING, "tiny_agents"):
            assert await run(agent, "2") == "Two."
            assert await run(agent, "3") == "Three."
        assert len(caplog.messages) == 1
        assert "the disk is full. The conversation goes on, but it is not being saved." in caplog.messages[0]
        assert session.problem is not None
        store.failure = None
        await run(agent, "4")
        assert "saved again" in caplog.messages[-1]
    assert [content for _, content in store.steps[-1]] == ["1", "One.", "2", "Two.", "3", "Three.", "4", "Four."]


async def test_a_result_that_could_not_be_saved_is_saved_later() -> None:
    store = Watched()

    def fill_the_disk() -> str:
        """Nothing can be saved from now on."""
        store.failure = SessionStoreError("full")
        return "filled"

    async with agent_with([calls(("fill_the_disk", {})), text("One."), text("Two.")], Session(store)) as (agent, _):
        agent.add_tool(fill_the_disk)
        await run(agent, "1")
        assert "interrupted" in store.steps[-1][-1][1]
        store.failure = None
        await run(agent, "2")
    assert [content for _, content in store.steps[-1]] == ["1", None, "filled", "One.", "2", "Two."]


async def test_a_session_that_somebody_else_took_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = Watched()
    async with agent_with([text("One."), text("Two."), text("Three.")], Session(store)) as (agent, _):
        await run(agent, "1")
        store.failure = SessionInUseError("the session was deleted")
        await run(agent, "2")
        store.failure = None
        assert await run(agent, "3") == "Three."
    assert store.steps[-1] == [("user", "1"), ("assistant", "One.")]


async def test_secrets_are_not_saved_anywhere() -> None:
    store = Watched()
    session = Session(store, secrets=['pass"word\n1'])
    answer = [calls(("add", {"a": 'pass"word\n1', "b": "hf_abcdefghijkl"})), text('It is pass"word\n1, sk-12345678abc')]
    async with agent_with(answer, session) as (agent, _):
        await run(agent, 'My password is pass"word\n1')
        assert "pass" in agent.messages[-1]["content"], "what is in memory stays as it is"
    written = str(store.changes) + str(await store.list())
    for secret in ("word\\n1", "word\n1", "hf_abcdefghijkl", "sk-12345678abc"):
        assert secret not in written
    assert (
        store._sessions[session.id].messages[2].message["tool_calls"][0]["function"]["arguments"]
        == '{"a": "***", "b": "***"}'
    )


async def test_usage_is_saved_with_the_answer_it_belongs_to() -> None:
    store = Watched()
    usage = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}}
    async with agent_with([raw(delta(content="Hi."), delta("stop"), usage)], Session(store)) as (agent, _):
        await run(agent, "Hello")
    saved = {
        change.puts[2].usage["total_tokens"] for change in store.changes if 2 in change.puts and change.puts[2].usage
    }
    assert saved == {9}


async def test_history_that_is_cut_or_replaced_is_saved_as_it_is_and_marked_for_keeping() -> None:
    store = Watched()
    async with agent_with([text("One."), text("Two."), text("Three.")], Session(store)) as (agent, _):
        await run(agent, "1")
        await run(agent, "2")
        agent.messages[1:] = [{"role": "user", "content": "what was said"}, {"role": "assistant", "content": "Yes."}]
        await run(agent, "3")
    assert [content for _, content in store.steps[-1]] == ["what was said", "Yes.", "3", "Three."]
    (replaced,) = (change for change in store.changes if 1 in change.puts and change.settled == 3)
    assert sorted(replaced.puts) == [1, 2, 3]


async def test_a_cancelled_run_is_saved_as_it_was_left() -> None:
    store = Watched()
    async with agent_with([raw(delta(content="So far"), then="stall")], Session(store)) as (agent, model):
        task = asyncio.create_task(run(agent, "go"))
        assert await asyncio.to_thread(model.started.wait, 30)
        while len(agent.messages) < 2:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        said = [(message["role"], message["content"]) for message in agent.messages[1:]]
    assert store.steps[-1] == said
    assert store.changes[-1].stop == "aborted"


async def test_what_is_cut_off_after_the_last_request_is_cut_off_in_the_store_too() -> None:
    store = Watched()
    async with agent_with([text("One."), text("Two.")], Session(store)) as (agent, _):
        await run(agent, "1")
        await run(agent, "2")
        assert agent.rollback() == "2"
    assert store.steps[-1] == [("user", "1"), ("assistant", "One.")]


async def test_requests_of_a_resumed_conversation_can_be_taken_back_and_made_again() -> None:
    store = Watched()
    async with agent_with([text("One."), text("Two.")], Session(store)) as (agent, _):
        await run(agent, "1")
        await run(agent, "2")
    async with agent_with([], await Session.resume(store)) as (agent, _):
        assert agent.rollback() == "2"
    assert store.steps[-1] == [("user", "1"), ("assistant", "One.")]
    async with agent_with([text("Again.")], await Session.resume(store)) as (agent, _):
        async for _ in agent.retry():
            pass
        assert agent.rollback() == "1"
        with pytest.raises(UsageError, match="no request"):
            agent.rollback()
    assert store.steps[-1] == []


async def test_a_conversation_that_is_looked_at_and_left_again_stays_as_it_was() -> None:
    store = Watched()
    async with agent_with([text("One.")], Session(store)) as (agent, _):
        await run(agent, "1")
    before = list(store.steps)
    session = await Session.resume(store)
    async with agent_with([], session) as (agent, _):
        assert [message["role"] for message in agent.messages] == ["system", "user", "assistant"]
    assert store.steps == before  # nothing was written
    assert store.said(session.id) == [("user", "1"), ("assistant", "One.")]


async def test_two_agents_can_not_work_in_one_session_at_once() -> None:
    session = Session(MemorySessionStore())
    async with agent_with([raw(delta(content="x"), then="stall")], session) as (agent, model):
        items = agent.run("1")
        await anext(items)
        async with Agent(base_url=model.url, model="m", session=session) as other:
            with pytest.raises(UsageError, match="Another agent is working in this session"):
                await run(other, "2")
        await items.aclose()


async def test_a_closed_session_takes_nothing_more() -> None:
    session = Session(MemorySessionStore())
    await session.close()
    with pytest.raises(UsageError, match="closed"):
        await session.begin([{"role": "user", "content": "hi"}])


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [("last", "no conversation"), ("ab", "no session 'ab'"), ("", "no session ''")],
)
async def test_what_is_not_there_can_not_be_resumed(wanted: str, problem: str) -> None:
    with pytest.raises(SessionNotFoundError, match=problem):
        await Session.resume(MemorySessionStore(), wanted)


async def test_an_id_may_be_shortened_as_long_as_it_is_unique() -> None:
    store = MemorySessionStore()
    for updated, name in enumerate(("aaa1", "aab2", "abc3")):
        await store.create(SessionInfo(id=name, updated=float(updated)))
        await store.release(name)
    assert (await Session.resume(store, "aab")).id == "aab2"
    assert (await Session.resume(store)).id == "abc3"
    with pytest.raises(SessionNotFoundError, match="2 sessions start with 'aa': aab2, aaa1"):
        await Session.resume(store, "aa")


@pytest.mark.parametrize("keeps", [True, False])
async def test_another_agent_goes_on_with_a_conversation_and_saves_it_if_it_may(keeps: bool) -> None:
    store = Watched()
    session = Session(store)
    async with agent_with([text("One."), text("Two.")], session) as (before, model):
        await before.run_to_completion("First")
        async with Agent(base_url=model.url, model="m", prompt="Be kind.") as now:
            now.take_over(before, keeps_session=keeps)
            await before.cleanup()
            await now.run_to_completion("Second")
            assert [message["content"] for message in model.chats[-1]["messages"]] == [
                "Be kind.",
                "First",
                "One.",
                "Second",
            ]
            assert now.usage.model_calls == 2
            assert now.rollback() == "Second"
            assert now.rollback() == "First"
    said = [words for _, words in store.said(session.id)]
    assert said == ([] if keeps else ["First", "One."])
