"""Limits, results, taking back and trying again, with a scripted model and functions as tools."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import Agent, Limits, ProviderError, UsageError

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

USAGE = {"usage": {"prompt_tokens": 1000, "completion_tokens": 10}, "choices": []}
PRICES = {"m": {"input": 100.0, "output": 0.0}}  # a call with USAGE costs 10 cents


@asynccontextmanager
async def agent_with(
    turns: list[Turn] | Callable[[Recorded], Turn], **arguments: Any
) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        async with asyncio.timeout(30), Agent(base_url=model.url, model="m", **arguments) as agent:
            agent.add_tool(add)
            yield agent, model
            assert_valid(agent.messages)


def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


def counted(turn: Turn) -> Turn:
    return Turn([*turn.events, USAGE], turn.message)


def busy(request: Recorded) -> Turn:
    """Wants another tool call as long as it may have one, and then answers."""
    if request.body.get("tool_choice") == "none":
        return counted(text("What I know so far."))
    number = len(request.body["messages"])
    return counted(calls(("add", {"a": number}), ids=[f"c{number}"]))


def stubborn(request: Recorded) -> Turn:
    """Wants another tool call, whatever it is told."""
    number = len(request.body["messages"])
    return counted(calls(("add", {"a": number}), ids=[f"c{number}"]))


def looping(request: Recorded) -> Turn:
    """Makes the same call again and again."""
    if request.body.get("tool_choice") == "none":
        return text("I am going in circles.")
    return calls(("add", {"a": 1}), ids=[f"c{len(request.body['messages'])}"])


@pytest.mark.parametrize(
    ("model", "limits", "stop", "model_calls", "tool_calls", "answer"),
    [
        (busy, Limits(model_calls=4), "turn_limit", 4, 3, True),
        (busy, Limits(model_calls=4, last_answer=False), "turn_limit", 4, 4, False),
        (stubborn, Limits(model_calls=4), "turn_limit", 4, 3, False),
        (busy, Limits(model_calls=2), "turn_limit", 2, 2, False),
        (busy, Limits(model_calls=1), "turn_limit", 1, 1, False),
        (busy, Limits(tool_calls=2), "tool_limit", 4, 2, True),
        (busy, Limits(tool_calls=0), "tool_limit", 2, 0, True),
        (busy, Limits(tool_calls=2, last_answer=False), "tool_limit", 3, 2, False),
        (stubborn, Limits(tool_calls=2), "tool_limit", 4, 2, False),
        (looping, Limits(repeat=3), "repeat_limit", 4, 3, True),
        (looping, Limits(repeat=3, last_answer=False), "repeat_limit", 3, 3, False),
        (busy, Limits(tokens=3500), "token_limit", 3, 2, True),
        (stubborn, Limits(tokens=3500), "token_limit", 3, 2, False),
        (busy, Limits(tokens=1500), "token_limit", 1, 1, False),
        (busy, Limits(cost_usd=0.35), "cost_limit", 3, 2, True),
        (busy, Limits(cost_usd=0.15), "cost_limit", 1, 1, False),
    ],
)  # fmt: skip
async def test_a_limit_stops_the_run_with_exact_counts_and_perhaps_a_last_answer(
    model: Any, limits: Limits, stop: str, model_calls: int, tool_calls: int, answer: bool
) -> None:
    async with agent_with(model, limits=limits, prices=PRICES) as (agent, server):
        result = await agent.run_to_completion("go")
        assert (result.stop_reason, result.has_answer) == (stop, answer)
        assert (result.model_calls, result.tool_calls) == (model_calls, tool_calls)
        assert len(server.chats) == model_calls
        assert result.limit is not None
        assert result.limit.allowed == next(
            value for name in ("model_calls", "tool_calls", "repeat", "tokens", "cost_usd")
            if (value := getattr(limits, name)) is not None
        )  # fmt: skip
        assert agent.messages[-1]["role"] == "assistant"
        if (limits.last_answer is not False and result.limit.limit in ("tool_calls", "repeat")) or answer:
            assert server.chats[-1]["tool_choice"] == "none"
            assert "No tool can be called any more" in server.chats[-1]["messages"][-1]["content"]
        else:
            assert all(chat.get("tool_choice") == "auto" for chat in server.chats) == (model is not stubborn)
        assert not any("No tool can be called" in str(m["content"]) for m in agent.messages if m["role"] != "tool")


async def test_a_refused_call_is_told_to_the_model() -> None:
    script = [calls(("add", {"a": 1}), ("add", {"a": 2}), ("add", {"a": 3})), text("1 and 2.")]
    async with agent_with(script, limits=Limits(tool_calls=2)) as (agent, server):
        result = await agent.run_to_completion("go")
        told = [m["content"] for m in server.chats[1]["messages"] if m["role"] == "tool"]
        assert told[:2] == ["1", "2"]
        assert told[2].startswith("Error: not called: stopped at the limit of 2 tool calls")
        assert str(result) == "1 and 2."


async def test_limits_of_a_request_come_before_the_agents() -> None:
    async with agent_with(busy, limits=Limits(tool_calls=1), max_turns=9) as (agent, _):
        result = await agent.run_to_completion("go", limits=Limits(model_calls=2, tool_calls=5))
        assert (result.stop_reason, result.tool_calls) == ("turn_limit", 2)
        assert (await agent.run_to_completion("go")).stop_reason == "tool_limit"
        agent.max_turns = 1
        assert (await agent.run_to_completion("go")).stop_reason == "turn_limit"


@pytest.mark.parametrize("where", ["in an answer", "in a tool call"])
async def test_time_that_is_up_stops_what_is_under_way(where: str) -> None:
    async def wait() -> str:
        await asyncio.Event().wait()
        return "never"

    stalled = raw(delta(content="So far"), then="stall") if where == "in an answer" else calls(("wait", {}))
    async with agent_with([stalled], limits=Limits(seconds=1)) as (agent, server):
        agent.add_tool(wait)
        began = time.monotonic()
        result = await agent.run_to_completion("go")
        assert time.monotonic() - began < 30
        assert (result.stop_reason, result.has_answer, len(server.chats)) == ("time_limit", False, 1)
        assert result.limit is not None
        assert result.limit.limit == "seconds"
        assert result.model_calls == 1
        assert agent.messages[-1]["content"] == (
            "So far" if where == "in an answer" else result.messages[-1]["content"]
        )


async def test_a_cost_limit_needs_a_price() -> None:
    with pytest.raises(UsageError, match=r"nobody knows what the model 'm' costs.*prices="):
        Agent(base_url="http://127.0.0.1:1/v1", model="m", limits=Limits(cost_usd=1))
    async with Agent(base_url="http://127.0.0.1:1/v1", model="m") as agent:
        with pytest.raises(UsageError, match="nobody knows"):
            await agent.run_to_completion("go", limits=Limits(cost_usd=1))
        assert len(agent.messages) == 1


async def test_the_result_says_what_happened() -> None:
    async with agent_with([counted(calls(("add", {"a": 1, "b": 2}))), counted(text("It is ", "3."))]) as (
        agent,
        server,
    ):
        result = await agent.run_to_completion("1 + 2?")
        assert (result.text, result.stop_reason, result.has_answer, result.limit) == ("It is 3.", "done", True, None)
        assert [m["role"] for m in result.messages] == ["user", "assistant", "tool", "assistant"]
        assert (result.usage.input_tokens, result.usage.output_tokens, result.usage.estimated) == (2000, 20, False)
        assert result.cost_usd is None
        assert [call.input_tokens for call in result.calls] == [1000, 1000]
        assert (result.model_calls, result.tool_calls, result.model) == (2, 1, "scripted")
        assert 0 < result.duration_s < 30
        assert "cost unknown" in repr(result)
        assert "'It is 3.'" in repr(result)
        assert dict(result.__rich_repr__())["stop_reason"] == "done"
        assert server.chats[0]["stream_options"] == {"include_usage": True}
        await agent.run_to_completion("again")
        assert agent.usage.model_calls == 3
        assert agent.usage.input_tokens == 3000


@pytest.mark.parametrize("reason", ["length", "content_filter"])
async def test_an_answer_that_was_cut_off_is_no_whole_answer(reason: str) -> None:
    async with agent_with([raw(delta(content="It is"), delta(reason)), text("3.")]) as (agent, _):
        result = await agent.run_to_completion("1 + 2?")
        assert (result.text, result.stop_reason, result.finish_reason, result.has_answer) == (
            "It is",
            "done",
            reason,
            False,
        )
        assert (await agent.run_to_completion("again")).has_answer


async def test_params_are_passed_on_with_each_call() -> None:
    params = {"temperature": 0.5, "extra_body": {"top_k": 3}, "stream_options": {"include_usage": False}}
    async with agent_with(busy, params=params, max_turns=3) as (agent, server):
        await agent.run_to_completion("go")
        for chat in server.chats:
            assert (chat["temperature"], chat["top_k"]) == (0.5, 3)
            assert chat["stream_options"] == {"include_usage": False}


@pytest.mark.parametrize(
    ("name", "words"), [("temprature", "Did you mean temperature"), ("tools", "servers"), ("top_k", "extra_body")]
)
def test_params_that_no_chat_call_takes_are_refused(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=f"{name}.*{words}"):
        Agent(base_url="http://127.0.0.1:1/v1", params={name: 1})


async def test_a_failed_request_is_tried_again_from_its_start() -> None:
    broken = raw(delta(content="It is"), then="reset")
    script = [text("Hello."), calls(("add", {"a": 1})), broken, calls(("add", {"a": 2})), text("2.")]
    async with agent_with(script) as (agent, server):
        await agent.run_to_completion("hi")
        with pytest.raises(Exception, match="broke off"):
            await agent.run_to_completion("add")
        assert agent.result is not None
        assert (agent.result.stop_reason, agent.result.text, agent.result.has_answer) == ("failed", "It is", False)
        async for _ in agent.retry():
            pass
        assert agent.result.text == "2."
        sent = [message["content"] for message in server.chats[3]["messages"][1:]]
        assert sent == ["hi", "Hello.", "add"]
        assert len(agent.messages) == 7


async def test_requests_are_taken_back_one_after_the_other() -> None:
    async with agent_with([text("A."), text("B."), status(400), text("C.")]) as (agent, server):
        await agent.run_to_completion("a")
        await agent.run_to_completion("b")
        with pytest.raises(ProviderError):
            await agent.run_to_completion("c")
        assert agent.rollback() == "c"  # nothing had answered it: it was out of the messages already
        assert agent.rollback() == "b"
        assert [m["content"] for m in agent.messages[1:]] == ["a", "A."]
        await agent.run_to_completion("d")
        assert [m["content"] for m in server.chats[-1]["messages"][1:]] == ["a", "A.", "d"]
        assert (agent.rollback(), agent.rollback(), len(agent.messages)) == ("d", "a", 1)
        with pytest.raises(UsageError, match="no request"):
            agent.rollback()


async def test_nothing_is_taken_back_while_a_run_goes_on() -> None:
    async with agent_with([raw(delta(content="x"), then="stall")]) as (agent, _):
        items = agent.run("one")
        await anext(items)
        with pytest.raises(UsageError, match="still busy"):
            agent.rollback()
        await items.aclose()
        assert agent.result is not None
        assert (agent.result.stop_reason, agent.result.model_calls) == ("aborted", 1)
        assert agent.result.usage.estimated
