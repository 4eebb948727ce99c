"""The loop, with a scripted model and a real stdio server."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import (
    Agent,
    ChatCompletionInputMessage,
    IncompleteStreamError,
    ProviderError,
    ServerConnectionError,
    UsageError,
)

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

SUPPORT = Path(__file__).parent.parent / "support"
SERVER = {
    "type": "stdio",
    "command": sys.executable,
    "args": [str(SUPPORT / "sums_server.py")],
    "env": {"GREETING": "hello"},
}
LEAKY = str(SUPPORT / "leaky_server.py")


@asynccontextmanager
async def agent_with(
    turns: list[Turn] | Callable[[Recorded], Turn], **arguments: Any
) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        async with (
            asyncio.timeout(60),
            Agent(base_url=model.url, model="m", **({"servers": [SERVER]} | arguments)) as agent,
        ):
            await agent.load_tools()
            yield agent, model
            assert_valid(agent.messages)


async def run(agent: Agent, request: str, **options: Any) -> tuple[str, list[ChatCompletionInputMessage]]:
    """The text the model wrote, and the tool results."""
    written, results = "", []
    async for item in agent.run(request, **options):
        if isinstance(item, ChatCompletionInputMessage):
            results.append(item)
        elif item.choices and item.choices[0].delta is not None:
            written += item.choices[0].delta.content or ""
    return written, results


async def test_tools_are_called_until_the_model_answers() -> None:
    script = [calls(("add", {"a": 1, "b": 2})), calls(("add", {"a": 3, "b": 3}), ids=["x"]), text("It is ", "6.")]
    async with agent_with(script) as (agent, model):
        written, results = await run(agent, "1 + 2 + 3?")
        assert written == "It is 6."
        assert [result.content for result in results] == ["3", "6"]
        assert agent.stop_reason == "done"
        assert len(model.chats) == 3  # one per tool turn and one for the answer, none wasted
        names = [tool["function"]["name"] for tool in model.chats[0]["tools"]]
        assert names == ["task_complete", "ask_question", "add", "greet", "fail"]
        assert [m["role"] for m in model.chats[2]["messages"]] == [
            "system", "user", "assistant", "tool", "assistant", "tool",
        ]  # fmt: skip


async def test_text_that_comes_with_a_tool_call_is_kept() -> None:
    async with agent_with([calls(("add", {"a": 1, "b": 2}), content="Let me see."), text("3.")]) as (agent, model):
        written, _ = await run(agent, "1 + 2?")
        assert written == "Let me see.3."
        assert model.chats[1]["messages"][2]["content"] == "Let me see."


async def test_a_model_that_always_wants_tools_is_stopped() -> None:
    def endless(request: Recorded) -> Turn:
        return calls(("add", {"a": 1, "b": 1}), ids=[f"c{len(request.body['messages'])}"])

    async with agent_with(endless, max_turns=3) as (agent, model):
        await run(agent, "go")
        assert agent.stop_reason == "turn_limit"
        assert len(model.chats) == 3
        assert agent.messages[-1]["role"] == "assistant"
        assert "limit" in str(agent.messages[-1]["content"])


async def test_an_exit_tool_ends_the_run_and_every_call_is_answered() -> None:
    async with agent_with([calls(("task_complete", {}), ("add", {"a": 1, "b": 2}))]) as (agent, model):
        _, results = await run(agent, "go")
        assert {(result.name, result.content) for result in results} == {("task_complete", ""), ("add", "3")}
        assert agent.stop_reason == "exit_tool"
        assert len(model.chats) == 1


async def test_a_model_that_answers_nothing_ends_the_run() -> None:
    async with agent_with([calls(("add", {"a": 1, "b": 2})), text("")]) as (agent, model):
        await run(agent, "go")
        assert agent.stop_reason == "empty"
        assert len(model.chats) == 2


async def test_the_conversation_goes_on() -> None:
    async with agent_with([text("Hello."), text("Again.")]) as (agent, model):
        await run(agent, "hi")
        await run(agent, "and?")
        assert [message["content"] for message in model.chats[1]["messages"][1:]] == ["hi", "Hello.", "and?"]


async def test_setting_the_event_stops_an_answer_at_once_and_keeps_its_text() -> None:
    event = asyncio.Event()
    async with agent_with([raw(delta(content="So far "), delta(content="so good"), then="stall"), text("ok")]) as (
        agent,
        model,
    ):
        written = ""
        async for item in agent.run("go", abort_event=event):
            assert not isinstance(item, ChatCompletionInputMessage)
            assert item.choices[0].delta is not None
            written += item.choices[0].delta.content or ""
            if written == "So far so good":
                event.set()
        assert agent.stop_reason == "aborted"
        assert await asyncio.to_thread(model.gone.wait, 30)
        assert agent.messages[1:] == [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": "So far so good"},
        ]
        assert await run(agent, "again") == ("ok", [])


async def test_setting_the_event_stops_a_tool_call_at_once(tmp_path: Path) -> None:
    event, started = asyncio.Event(), tmp_path / "started"
    args = [str(SUPPORT / "quick_server.py"), str(started)]
    hanging = {"type": "stdio", "name": "slow", "command": sys.executable, "args": args}
    async with agent_with([calls(("wait", {})), text("ok")], servers=[SERVER, hanging]) as (agent, _):

        async def set_when_running() -> None:
            while not started.exists():
                await asyncio.sleep(0.01)
            event.set()

        setter = asyncio.create_task(set_when_running())
        _, results = await run(agent, "go", abort_event=event)
        await setter
        assert results == []
        assert agent.stop_reason == "aborted"
        assert [message["role"] for message in agent.messages] == ["system", "user", "assistant", "tool", "assistant"]
        assert "interrupted" in str(agent.messages[3]["content"]).lower()
        assert_valid(agent.messages)
        assert await run(agent, "again") == ("ok", [])


async def test_leaving_a_run_early_is_an_abort() -> None:
    async with agent_with([raw(delta(content="So far"), then="stall"), text("ok")]) as (agent, model):
        items = agent.run("go")
        await anext(items)
        await items.aclose()
        assert agent.stop_reason == "aborted"
        assert await asyncio.to_thread(model.gone.wait, 30)
        assert agent.messages[-1]["content"] == "So far"


async def test_cancelling_a_run_is_an_abort_and_stays_a_cancellation() -> None:
    async with agent_with([raw(delta(content="So far"), then="stall"), text("ok")]) as (agent, model):
        task = asyncio.create_task(run(agent, "go"))
        assert await asyncio.to_thread(model.started.wait, 30)
        while len(agent.messages) < 2:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert agent.stop_reason == "aborted"
        assert_valid(agent.messages)


async def test_a_request_that_failed_is_taken_back_and_can_be_made_again() -> None:
    async with agent_with([status(400, {"error": "no"}), text("ok")]) as (agent, model):
        with pytest.raises(ProviderError):
            await run(agent, "go")
        assert agent.stop_reason == "failed"
        assert len(agent.messages) == 1
        assert await run(agent, "go") == ("ok", [])
        assert [m["role"] for m in model.chats[-1]["messages"]] == ["system", "user"]


async def test_an_answer_that_breaks_off_keeps_what_came_and_the_tool_results_before_it() -> None:
    broken = raw(delta(content="It is"), then="reset")
    async with agent_with([calls(("add", {"a": 1, "b": 2})), broken, text("ok")]) as (agent, _):
        with pytest.raises(IncompleteStreamError):
            await run(agent, "go")
        assert [m["role"] for m in agent.messages] == ["system", "user", "assistant", "tool", "assistant"]
        assert agent.messages[-1]["content"] == "It is"
        assert await run(agent, "again") == ("ok", [])


async def test_an_agent_that_was_closed_asks_no_model_and_keeps_its_conversation() -> None:
    with OpenAIServer([text("Hi!")]) as model:
        async with Agent(base_url=model.url, model="m") as agent:
            beside = agent.new_conversation().new_conversation()
            await agent.run_to_completion("Hi")
        before = list(agent.messages)
        for ended in (agent, beside):
            with pytest.raises(UsageError, match="this Agent has been closed .* make a new one"):
                await ended.run_to_completion("Again")
        for use in (agent.compact, agent.load_tools, agent.__aenter__):
            with pytest.raises(UsageError, match="this Agent has been closed"):
                await use()
        assert agent.messages == before
        assert agent.result is not None
        assert agent.result.text == "Hi!"
        assert agent.rollback() == "Hi"
        assert len(model.requests) == 1


async def test_one_server_that_fails_does_not_stop_the_others() -> None:
    missing = {"type": "stdio", "name": "missing", "command": "no-such-command-anywhere"}
    dying = {
        "type": "stdio",
        "name": "dying",
        "command": sys.executable,
        "args": ["-c", "raise SystemExit('I am broken')"],
    }
    async with agent_with([text("ok")], servers=[missing, SERVER, dying]) as (agent, _):
        assert set(agent.failed_servers) == {"missing", "dying"}
        assert "no-such-command-anywhere" in str(agent.failed_servers["missing"])
        assert "I am broken" in str(agent.failed_servers["dying"])
        assert [tool.function.name for tool in agent.available_tools] == ["add", "greet", "fail"]
        assert await run(agent, "hi") == ("ok", [])


async def test_without_a_server_that_is_required_nothing_starts() -> None:
    missing = {"type": "stdio", "name": "needed", "command": "no-such-program-anywhere"}
    async with asyncio.timeout(60), Agent(base_url="http://x", servers=[SERVER, missing], required=["needed"]) as agent:
        with pytest.raises(ServerConnectionError, match="needed"):
            await agent.load_tools()


async def test_a_server_that_is_not_to_be_started_again_stays_away_and_its_tools_begin_with_its_prefix() -> None:
    bad = {"type": "stdio", "name": "fragile", "command": sys.executable, "args": [LEAKY, "x"], "restart": 0}
    turns = [calls(("gh__crash", {})), calls(("gh__fail", {})), text("It is gone.")]
    async with agent_with(turns, servers=[{**bad, "prefix": "gh"}]) as (agent, _):
        assert [tool.function.name for tool in agent.available_tools] == ["gh__fail", "gh__crash"]
        _, results = await run(agent, "Go.")
        assert "is started again" not in str(results[0].content)
        assert "went away once and is not to be started again (restart: 0)" in str(results[1].content)


@pytest.mark.parametrize(
    "server", [{"type": "stdio", "config": {"command": "x"}}, {"type": "carrier-pigeon"}, {"type": "http"}]
)
async def test_a_server_whose_arguments_make_no_sense_is_a_plain_error(server: dict[str, Any]) -> None:
    async with asyncio.timeout(30), Agent(base_url="http://127.0.0.1:1/v1", servers=[SERVER, server]) as agent:
        with pytest.raises(UsageError):
            await agent.load_tools()


async def test_an_agent_does_one_thing_at_a_time() -> None:
    async with agent_with([raw(delta(content="x"), then="stall")]) as (agent, _):
        items = agent.run("one")
        await anext(items)
        with pytest.raises(UsageError, match="still busy"):
            await anext(agent.run("two"))
        await items.aclose()


def test_a_turn_limit_below_one_is_refused() -> None:
    with pytest.raises(UsageError, match="max_turns"):
        Agent(base_url="http://127.0.0.1:1/v1", max_turns=0)


async def test_an_agent_is_loaded_from_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer([calls(("greet", {"name": "Ada"})), text("Done.")]) as model:
        (tmp_path / "agent.yaml").write_text(
            f"""
            endpointUrl: {model.url}
            model: mine
            prompt: Be brief.
            max_turns: 2
            inputs: [{{id: greeting, description: What to say}}]
            servers:
              greeter:
                command: "{sys.executable}"
                args: ["{SERVER["args"][0]}"]
                env: {{GREETING: "${{input:greeting}}"}}
            """,
            encoding="utf-8",
        )
        async with asyncio.timeout(60), Agent.load(tmp_path, inputs={"greeting": "salut"}) as agent:
            await agent.load_tools()
            written, results = await run(agent, "go")
        assert (written, [result.content for result in results]) == ("Done.", ["salut, Ada"])
        assert model.chats[0]["model"] == "mine"
        assert model.chats[0]["messages"][0] == {"role": "system", "content": "Be brief."}


async def test_calls_leave_nothing_in_the_context_of_whoever_iterates() -> None:
    script = [calls(("add", {"a": 1, "b": 2})), calls(("add", {"a": 1, "b": 2}), ("greet", {})), text("Done.")]
    async with agent_with(script) as (agent, _):
        before = dict(contextvars.copy_context())
        async for _ in agent.run("Add."):
            assert dict(contextvars.copy_context()) == before
        assert [m["role"] for m in agent.messages].count("tool") == 3
