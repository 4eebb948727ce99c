"""The hosts that are ready to use, in front of real servers; what servers are told of is what is served."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.busy_server import server as busy
from tests.support.library_server import build
from tests.support.mcp_servers import no_model
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tiny_agents import Agent, Limits
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ServerAsked
from tiny_agents.mcp_client.host.host import FormRequest, Host, Reply, RootsRequest, SamplingRequest, UrlRequest
from tiny_agents.mcp_client.host.hosts import NOBODY, HeadlessHost, ScriptedHost

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

GOOD = {"name": "Ada", "age": 36, "tags": ["b"]}


@pytest.fixture(params=["legacy", "auto"])
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"type": "inprocess", "server": busy, "name": "s", "protocol": request.param}


async def ask(client: MCPClient, what: str) -> Any:
    result = await client.call_tool("ask", {"what": what})
    assert not result.is_error, result.text
    return json.loads(result.text)


# ---------------------------------------------------------------- what is declared


@pytest.mark.parametrize(
    ("host", "declared"),
    [
        (None, set()),
        (HeadlessHost(), {"elicitation"}),
        (HeadlessHost(sampling=True, roots=["."]), {"elicitation", "sampling", "roots"}),
        (ScriptedHost(sampling=[True]), {"elicitation", "sampling"}),
    ],
)
@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_a_server_is_told_of_what_is_served(host: Host | None, declared: set[str], protocol: str) -> None:
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server("inprocess", server=build(), protocol=protocol)  # type: ignore[call-overload]
        told = json.loads((await client.call_tool("capabilities")).text)
    assert set(told) == declared
    assert told.get("elicitation", {"form": {}, "url": {}}) == {"form": {}, "url": {}}
    assert told.get("sampling", {"tools": {}}) == {"tools": {}}


# ---------------------------------------------------------------- nobody there


@pytest.mark.parametrize("what", ["form", "url"])
async def test_where_nobody_is_server_and_model_are_told_why(server: dict[str, Any], what: str) -> None:
    async with asyncio.timeout(60), no_model(host=HeadlessHost()) as client:
        await client.add_mcp_server(**server)
        result = await client.call_tool("ask", {"what": what})
        answer, note = result.text.split("\n")
        assert json.loads(answer)["action"] == "decline"
        assert json.loads(answer)["_meta"] == {"tiny-agents/reason": NOBODY}
        question = "Which color?" if what == "form" else "Log in"
        assert note == f"[MCP server 's' asked: '{question}'. Not answered: {NOBODY}.]"
        assert (await client.call_tool("work", {"steps": 0, "seconds": 0})).text == "done"


# ---------------------------------------------------------------- forms


async def test_every_kind_of_field_is_filled_in(server: dict[str, Any]) -> None:
    host = ScriptedHost([GOOD, Reply("decline")])
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**server)
        answer = await ask(client, "kinds")
        defaults = {"share": 0.5, "member": True, "size": "l", "days": ["mo"]}
        assert answer == {"action": "accept", "content": {**GOOD, **defaults}} | without(answer)
        assert (await ask(client, "kinds"))["action"] == "decline"
        last = await client.call_tool("ask", {"what": "form"})
        assert "the script has no answer left" in last.text
    first, second, third = host.asked
    assert isinstance(first, FormRequest)
    assert (first.message, first == second) == ("Everything", True)
    assert isinstance(third, FormRequest)
    assert third.message == "Which color?"


def without(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key in ("result_type", "resultType")}


async def test_what_does_not_fit_the_form_is_not_sent(server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model(host=ScriptedHost([{**GOOD, "age": 3}])) as client:
        await client.add_mcp_server(**server)
        result = await client.call_tool("ask", {"what": "kinds"})
    assert result.is_error
    assert "age: must be at least 18" in result.text


# ---------------------------------------------------------------- pages


async def test_a_call_that_needs_a_page_first_is_made_again() -> None:
    host = ScriptedHost([Reply("decline"), Reply("accept")])
    async with asyncio.timeout(30), no_model(host=host) as client:
        await client.add_mcp_server("inprocess", server=busy, name="s", protocol="legacy")
        refused = await client.call_tool("behind_a_page")
        assert refused.is_error
        assert "not everything that it needs was opened" in refused.text
        await client.call_tool("behind_a_page")  # resets the server: it counts as opened
        result = await client.call_tool("behind_a_page")
        assert result.text == "the page was opened"
    assert host.asked == [UrlRequest("s", "Log in", "https://example.com/login")] * 2


async def test_without_a_host_the_page_is_an_error_of_the_tool() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server("inprocess", server=busy, name="s", protocol="legacy")
        assert (await client.call_tool("behind_a_page")).is_error
        assert (await client.call_tool("behind_a_page")).text == "the page was opened"


# ---------------------------------------------------------------- the model


async def test_a_server_may_offer_tools_to_the_model_it_asks(server: dict[str, Any]) -> None:
    class Generous(ScriptedHost):
        sampling_models = ("vendor/the-other-one",)

    host = Generous(sampling=[True, True])
    with OpenAIServer([calls(("math_add", {"a": 5, "b": 1})), text("Done.")]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=host) as client:
            await client.add_mcp_server(**server)
            answer = await ask(client, "tools")
            assert answer["stopReason"] == "toolUse"
            (call,) = answer["content"]
            assert (call["type"], call["name"], call["input"]) == ("tool_use", "math.add", {"a": 5, "b": 1})
            assert (await ask(client, "tools"))["stopReason"] == "endTurn"
    chat = model.chats[0]
    assert (chat["model"], chat["max_tokens"], chat["tool_choice"]) == ("vendor/the-other-one", 10, "required")
    assert [message["role"] for message in chat["messages"]] == ["user", "assistant", "tool"]
    assert [tool["function"]["name"] for tool in chat["tools"]] == ["math_add"]
    request = host.asked[0]
    assert isinstance(request, SamplingRequest)
    assert (request.model, request.hints, request.cost_priority) == ("vendor/the-other-one", ("other",), 0.25)


async def test_limits_are_those_of_the_host(server: dict[str, Any]) -> None:
    class Strict(ScriptedHost):
        max_sampling_tokens = 7
        max_samplings = 1

    with OpenAIServer([text("Hi!")]) as model:
        async with (
            asyncio.timeout(60),
            MCPClient(base_url=model.url, model="m", host=Strict(sampling=[True])) as client,
        ):
            await client.add_mcp_server(**server)
            await ask(client, "text")
            refused = await client.call_tool("ask", {"what": "text"})
    assert "no more than 1 texts are sampled for one server" in refused.text
    assert [chat["max_tokens"] for chat in model.chats] == [7]


@pytest.mark.parametrize(("most", "asked"), [(4, 3), (3, 3), (2, 2), (1, 1)])
async def test_a_sampled_text_is_on_the_bill_of_the_request(server: dict[str, Any], most: int, asked: int) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}

    def answer(request: Recorded) -> Turn:
        messages = request.body["messages"]
        wants_tool = len(messages) == 2 and request.body.get("tool_choice") != "none" and "tools" in request.body
        turn = calls(("ask", {"what": "text"})) if wants_tool else text("Hi!")
        return replace(turn, events=[*turn.events, usage])

    with OpenAIServer(answer) as model:
        async with (
            asyncio.timeout(60),
            Agent(
                base_url=model.url, model="m", host=ScriptedHost(sampling=[True]), limits=Limits(model_calls=most)
            ) as agent,
        ):
            await agent.add_mcp_server(**server)
            result = await agent.run_to_completion("go")
            assert len(model.chats) == result.usage.model_calls == asked <= most
            assert result.usage == agent.usage
            assert result.usage.total_tokens == 15 * asked
            told = [str(message["content"]) for message in result.messages if message["role"] == "tool"]
            assert any("no room" in each for each in told) is (most <= 2)


async def test_a_sampling_request_that_is_too_long_reaches_neither_person_nor_model(server: dict[str, Any]) -> None:
    class Strict(ScriptedHost):
        max_sampling_chars = 20

    host = Strict(sampling=[True])
    with OpenAIServer([text("Hi!")]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=host) as client:
            await client.add_mcp_server(**server)
            refused = await client.call_tool("ask", {"what": "text"})
    assert "characters: at most 20 are taken" in refused.text
    assert host.asked == []
    assert model.chats == []


async def test_a_server_that_asks_without_end_reaches_the_person_only_so_often(
    server: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Strict(ScriptedHost):
        max_elicitations = 10
        max_elicitations_per_call = 4

    host = Strict([{"color": "red", "size": 3}] * 1_000)
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**server)
        results = [await client.call_tool("many_questions", {"count": 300}) for _ in range(4)]
    accepted, notes = zip(*(result.text.split("\n", 1) for result in results), strict=True)
    assert accepted == ("4", "4", "2", "0")
    assert len(host.asked) == 10
    per_call = "no more than 4 questions are passed on during one call"
    in_all = "no more than 10 questions of one server are passed on"
    assert list(notes) == [
        f"[MCP server 's' asked: 'Which color?'. Not answered: {why}.]" for why in (per_call, per_call, in_all, in_all)
    ]
    assert caplog.text.count("asks too many questions") == 4


async def test_calls_at_the_same_time_share_what_they_may_ask(server: dict[str, Any]) -> None:
    class Strict(ScriptedHost):
        max_elicitations_per_call = 4

    host = Strict([{"color": "red", "size": 3}] * 1_000)
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**server)
        await asyncio.gather(*(client.call_tool("many_questions", {"count": 100}) for _ in range(2)))
        assert 4 <= len(host.asked) <= 8
        host.asked.clear()
        assert (await client.call_tool("many_questions", {"count": 4})).text == "4"


# ---------------------------------------------------------------- several rounds


async def test_every_round_of_a_call_is_an_event_and_their_number_is_bounded(tmp_path: Path) -> None:
    host = ScriptedHost([{"color": name, "size": 3} for name in ("red", "green", "blue")], roots=[tmp_path])
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server("inprocess", server=busy, name="s", protocol="auto")
        with client.events() as events:
            assert (await client.call_tool("rounds", {"count": 3})).text == "red green blue"
            await ask(client, "roots")
            await client.cleanup()
            asked = [event.request async for event in events if isinstance(event, ServerAsked)]
    assert [type(request) for request in asked] == [FormRequest, FormRequest, FormRequest, RootsRequest]

    patient = ScriptedHost([{"color": "red", "size": 3}] * 100)
    async with asyncio.timeout(60), no_model(host=patient) as client:
        await client.add_mcp_server("inprocess", server=busy, name="s", protocol="auto")
        endless = await client.call_tool("rounds", {"count": 1000})
        assert endless.is_error
        assert endless.text == "the server asked back more than 10 times"
        assert len(patient.asked) == 10
        assert (await client.call_tool("work", {"steps": 0, "seconds": 0})).text == "done"
