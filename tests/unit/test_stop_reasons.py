"""Every reason to stop, in a table: what the model does, what is allowed, and that a strict server takes what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, get_args

import pytest

from tests.support.history import assert_valid
from tiny_agents import Agent, InferenceError, Limits, ScriptedAnswer, ScriptedCall, ScriptedClient
from tiny_agents.agent.loop.rules import StopReason

SCHEMA = {"type": "object", "required": ["a"]}
PRICES = {"scripted": {"input": 1e5, "output": 1e5}}


def look(n: int = 0) -> ScriptedAnswer:
    return ScriptedAnswer(calls=(ScriptedCall("look", {"n": n}),))


DONE = ScriptedAnswer(calls=(ScriptedCall("task_complete", {}),))
WAITS = ScriptedAnswer(calls=(ScriptedCall("wait", {}),))

REASONS: dict[StopReason, tuple[Sequence[ScriptedAnswer], dict[str, Any]]] = {
    "done": ([look(), ScriptedAnswer("Here.")], {}),
    "exit_tool": ([look(), DONE], {}),
    "empty": ([look(), ScriptedAnswer()], {}),
    "turn_limit": ([look(1), look(2)], {"limits": Limits(model_calls=2)}),
    "tool_limit": ([look(1), look(2)], {"limits": Limits(tool_calls=1, last_answer=False)}),
    "token_limit": ([look()], {"limits": Limits(tokens=10, last_answer=False)}),
    "cost_limit": ([look()], {"limits": Limits(cost_usd=0.01, last_answer=False), "prices": PRICES}),
    "repeat_limit": ([look(), look()], {"limits": Limits(repeat=2, last_answer=False)}),
    "time_limit": ([WAITS], {"limits": Limits(seconds=0.2)}),
    "bad_output": ([ScriptedAnswer("No.")], {"output": SCHEMA, "output_retries": 0}),
    "aborted": ([WAITS], {}),
    "failed": ([look()], {}),  # the model can't be asked again
}


def test_the_table_has_them_all() -> None:
    assert set(REASONS) == set(get_args(StopReason))


@pytest.mark.parametrize("reason", REASONS)
def test_a_run_stops_for_its_reason_and_leaves_a_valid_history(reason: StopReason) -> None:
    asyncio.run(_stops(reason))


async def _stops(reason: StopReason) -> None:
    answers, allowed = REASONS[reason]
    client = ScriptedClient(answers)
    abort = asyncio.Event()

    def look(n: int) -> str:
        """Look."""
        return "a fern"

    async def wait() -> str:
        """Wait."""
        if reason == "aborted":
            abort.set()
        return await asyncio.Event().wait() or "never"  # type: ignore[func-returns-value]

    async with Agent(client=client, model="scripted", **allowed) as agent:
        agent.add_tool(look)
        agent.add_tool(wait)
        try:
            async for _ in agent.run("Look.", abort_event=abort):
                pass
        except InferenceError:
            assert reason == "failed"
        assert agent.result is not None
        assert agent.stop_reason == agent.result.stop_reason == reason
        if reason != "time_limit":  # which may be over before anything was asked
            assert client.script.left == (), "each model call was made"
            assert agent.result.model_calls == len(answers)
        assert_valid(agent.messages)
