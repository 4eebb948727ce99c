"""Another model in place of one that can't be had."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, delta, raw, status, text
from tiny_agents import Agent, IncompleteStreamError, Limits, ModelChanged, ProviderError, UsageError

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

NOT_FOUND = status(404, {"error": {"message": "no such model"}})
ERROR_EVENT = 'data: {"error": {"message": "Overloaded", "code": 503}}\n\n'


def by_model(**turns: Turn) -> Callable[[Recorded], Turn]:
    return lambda request: turns[request.body["model"]]


def asked(server: OpenAIServer) -> list[str]:
    return [chat["model"] for chat in server.chats]


async def run(agent: Agent, *, events: bool = False) -> list[Any]:
    if events:
        return [item async for item in agent.run("hi", events=True)]
    return [item async for item in agent.run("hi")]


@pytest.mark.parametrize(
    "first",
    [
        NOT_FOUND,
        status(400, {"error": {"code": "model_not_supported", "message": "The requested model 'a' is not supported"}}),
        raw(ERROR_EVENT, done=False),
        raw(delta(role="assistant", content=""), ERROR_EVENT, done=False),
        raw(delta(role="assistant", content=""), then="reset"),
    ],
)
async def test_the_next_model_is_asked_as_long_as_nothing_was_said(first: Turn) -> None:
    with OpenAIServer(by_model(a=first, b=NOT_FOUND, c=text("Hello."))) as server:
        async with asyncio.timeout(30), Agent(base_url=server.url, model=["a", "b", "c"]) as agent:
            items = await run(agent, events=True)
            changes = [(item.before, item.after) for item in items if isinstance(item, ModelChanged)]
            assert changes == [("a", "b"), ("b", "c")]
            assert agent.result is not None
            assert (agent.result.text, agent.result.model_calls) == ("Hello.", 1)
            assert [m["content"] for m in agent.messages[1:]] == ["hi", "Hello."]
            assert asked(server) == ["a", "b", "c"]
            await run(agent)
            assert asked(server)[3:] == ["a", "b", "c"]  # a request begins with the first again
            assert_valid(agent.messages)


async def test_an_answer_that_broke_off_is_not_begun_again_by_another_model() -> None:
    with OpenAIServer(by_model(a=raw(delta(content="Hel"), then="reset"), b=text("Hello."))) as server:
        async with asyncio.timeout(30), Agent(base_url=server.url, model=["a", "b"]) as agent:
            with pytest.raises(IncompleteStreamError):
                await run(agent)
            assert asked(server) == ["a"]


async def test_a_mistake_is_not_hidden_by_another_model_unless_its_place_has_another_key() -> None:
    refused = status(401, {"error": {"message": "bad key"}})
    with OpenAIServer([refused]) as server, OpenAIServer([text("Hello.")]) as other:
        async with asyncio.timeout(30), Agent(base_url=server.url, model="a", fallbacks=["b"], api_key="k") as agent:
            with pytest.raises(ProviderError, match="bad key"):
                await run(agent)
            assert asked(server) == ["a"]
        elsewhere = {"base_url": other.url, "model": "c", "api_key": "other"}
        async with (
            asyncio.timeout(30),
            Agent(base_url=server.url, model="a", fallbacks=["b", elsewhere], api_key="k") as agent,
        ):
            await run(agent)
            assert asked(server)[1:] == ["a"]
            assert asked(other) == ["c"]
            assert other.requests[0].headers["authorization"] == "Bearer other"


async def test_the_last_models_error_is_the_error() -> None:
    with OpenAIServer(by_model(a=NOT_FOUND, b=status(400, {"error": {"message": "too long"}}))) as server:
        async with asyncio.timeout(30), Agent(base_url=server.url, model=["a", "b"]) as agent:
            with pytest.raises(ProviderError, match="too long"):
                await run(agent)
            assert len(agent.messages) == 1


async def test_a_definition_names_several_models(tmp_path: Path) -> None:
    with OpenAIServer(by_model(a=NOT_FOUND, b=text("Hello."))) as server:
        (tmp_path / "agent.yaml").write_text(f"endpointUrl: {server.url}\nmodel: [a, b]\n")
        async with asyncio.timeout(30), Agent.load(tmp_path) as agent:
            assert (await agent.run_to_completion("hi")).text == "Hello."


@pytest.mark.parametrize("given", ["", {}, {"modle": "x"}, 5])
def test_a_fallback_that_makes_no_sense_is_refused(given: Any) -> None:
    with pytest.raises(UsageError, match="fallbacks"):
        Agent(base_url="http://127.0.0.1:9/v1", model="m", fallbacks=[given])


def test_an_empty_list_of_models_is_refused() -> None:
    with pytest.raises(UsageError, match="empty list"):
        Agent(base_url="http://127.0.0.1:9/v1", model=[])


def test_a_limit_on_costs_needs_the_price_of_each_model() -> None:
    prices = {"a": {"input": 1.0, "output": 1.0}}
    with pytest.raises(UsageError, match="'b' costs"):
        Agent(base_url="http://127.0.0.1:9/v1", model=["a", "b"], prices=prices, limits=Limits(cost_usd=1))
