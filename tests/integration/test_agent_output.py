"""A final answer in the form that was asked for, with a scripted model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tiny_agents import Agent, ConfigError, Limits, OutputError

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

GOOD = '{"sum": 3}'
SCHEMA = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


@dataclass
class Answer:
    sum: int


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@asynccontextmanager
async def agent_with(
    turns: list[Turn] | Callable[[Recorded], Turn], *, tools: bool = True, **arguments: Any
) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        async with (
            asyncio.timeout(30),
            Agent(base_url=model.url, model="m", **{"output": Answer, **arguments}) as agent,
        ):
            if tools:
                agent.add_tool(add)
            yield agent, model
            assert_valid(agent.messages)


ADD = calls(("add", {"a": 1, "b": 2}))


async def test_an_answer_that_fits_costs_no_further_call() -> None:
    async with agent_with([ADD, text(GOOD)]) as (agent, server):
        result = await agent.run_to_completion("1 + 2?")
        assert result.output == Answer(3)
        assert len(server.chats) == 2
        assert all("response_format" not in chat for chat in server.chats)  # not every server takes it beside tools
        assert '"sum"' in server.chats[0]["messages"][0]["content"]


async def test_an_answer_that_does_not_fit_is_asked_for_again_without_tools_and_with_the_reason() -> None:
    async with agent_with([ADD, text("It is 3."), text('{"sum": "three"}'), text(GOOD)]) as (agent, server):
        result = await agent.run_to_completion("1 + 2?")
        assert (result.output, result.text, result.stop_reason, result.problem) == (Answer(3), GOOD, "done", "")
        assert result.model_calls == len(server.chats) == 4
        for chat in server.chats[2:]:
            assert "tools" not in chat
            assert chat["response_format"]["json_schema"]["schema"]["required"] == ["sum"]
            assert chat["messages"][-1]["content"].startswith(
                "Your answer can't be used: The answer does not fit Answer"
            )
        assert [m["role"] for m in agent.messages[4:]] == ["assistant", "user", "assistant", "user", "assistant"]


async def test_without_tools_the_form_is_asked_for_at_once() -> None:
    async with agent_with([text(GOOD)], tools=False) as (agent, server):
        assert (await agent.run_to_completion("1 + 2?")).output == Answer(3)
        assert "tools" not in server.chats[0]
        assert server.chats[0]["response_format"]["type"] == "json_schema"


async def test_a_turn_that_ended_with_a_tool_is_asked_for_its_answer() -> None:
    async with agent_with([calls(("task_complete", {})), text(GOOD)]) as (agent, server):
        result = await agent.run_to_completion("1 + 2?")
        assert (result.output, result.stop_reason) == (Answer(3), "done")
        last = server.chats[1]["messages"][-1]
        assert last["role"] == "tool"
        assert "Answer again" in last["content"]
        assert agent.messages[3]["content"] == ""


async def test_a_server_that_knows_no_formats_is_asked_without() -> None:
    def old(request: Recorded) -> Turn:
        if "response_format" in request.body:
            return status(400, {"error": {"message": "json_schema is not supported by this model"}})
        return text("It is 3.") if "tools" in request.body else text(f"```json\n{GOOD}\n```")

    async with agent_with(old) as (agent, server):
        assert (await agent.run_to_completion("1 + 2?")).output == Answer(3)
        assert len(server.chats) == 3


@pytest.mark.parametrize(
    ("arguments", "calls_made", "stop", "words"),
    [
        ({}, 3, "bad_output", "The final answer is not what was asked for. The answer does not fit Answer"),
        ({"output": SCHEMA}, 3, "bad_output", "It is no JSON"),
        ({"output_retries": 0}, 1, "bad_output", "not what was asked for"),
        ({"limits": Limits(model_calls=2)}, 2, "turn_limit", "Stopped after 2 model calls"),
    ],
)  # fmt: skip
async def test_an_answer_that_never_fits_is_an_error_with_the_text(
    arguments: dict[str, Any], calls_made: int, stop: str, words: str
) -> None:
    async with agent_with([text("Three.")], **arguments) as (agent, server):
        with pytest.raises(OutputError) as caught:
            await agent.run_to_completion("1 + 2?")
        assert words in str(caught.value)
        assert caught.value.text == "Three."
        assert caught.value.result is agent.result
        assert (caught.value.result.stop_reason, caught.value.result.output) == (stop, None)
        assert len(server.chats) == calls_made
        assert agent.messages[-1]["content"] == "Three."


async def test_the_last_answer_at_a_limit_counts_if_it_fits() -> None:
    async with agent_with([ADD, ADD, text(GOOD)], limits=Limits(tool_calls=1)) as (agent, server):
        result = await agent.run_to_completion("1 + 2?")
        assert (result.output, result.stop_reason) == (Answer(3), "tool_limit")
        assert len(server.chats) == 3


async def test_an_aborted_run_has_no_output_and_is_no_error() -> None:
    event = asyncio.Event()
    async with agent_with([raw(delta(content="{"), then="stall")]) as (agent, server):
        run = asyncio.create_task(agent.run_to_completion("1 + 2?", abort_event=event))
        assert await asyncio.to_thread(server.started.wait, 10)
        event.set()
        result = await run
        assert (result.stop_reason, result.output, result.problem) == ("aborted", None, "")


async def test_a_definition_asks_for_its_output(tmp_path: Path) -> None:
    (tmp_path / "answer.schema.json").write_text(json.dumps(SCHEMA))
    with OpenAIServer([text("three"), text(GOOD)]) as model:
        (tmp_path / "agent.yaml").write_text(
            f"""
            endpointUrl: {model.url}
            model: mine
            output: {{schema: ./answer.schema.json, retries: 1}}
            limits: {{seconds: 20, repeat: 2}}
            params: {{temperature: 0.5}}
            """
        )
        async with asyncio.timeout(30), Agent.load(tmp_path) as agent:
            result = await agent.run_to_completion("1 + 2?")
        assert result.output == {"sum": 3}
        assert (agent.limits.seconds, agent.limits.repeat) == (20, 2)
        assert model.chats[0]["temperature"] == 0.5


@pytest.mark.parametrize(
    ("schema", "content", "words"),
    [
        ("./gone.json", None, "there is no file './gone.json' beside the definition"),
        ("../x.json", None, "output.schema"),
        ("./x.json", "{", "is no JSON"),
        ("./x.json", "[]", "holds no JSON Schema"),
        ("./x.json", '{"type": "objekt"}', "is no JSON Schema: 'objekt'"),
        ("{type: objekt}", None, "is no JSON Schema: 'objekt'"),
    ],
)
def test_a_schema_that_is_none_is_an_error_at_its_line(
    tmp_path: Path, schema: str, content: str | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "x.json").write_text(content)
    (tmp_path / "agent.yaml").write_text(f"model: m\nendpointUrl: http://127.0.0.1:9/v1\noutput:\n  schema: {schema}\n")
    with pytest.raises(ConfigError, match=r"agent\.yaml:\d+:\d+: output") as caught:
        Agent.load(tmp_path)
    assert words in str(caught.value)
