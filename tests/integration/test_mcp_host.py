"""What servers ask of us is answered by the host, in both protocols; without one it is refused at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.busy_server import server as busy
from tests.support.hosts import RecordingHost
from tests.support.mcp_servers import bad_server, busy_server, no_model
from tests.support.openai_server import OpenAIServer, status, text
from tiny_agents.agent.agent import Agent
from tiny_agents.errors import ServerConnectionError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.host.host import MAX_SAMPLING_TOKENS, FormRequest, Host, Reply, SamplingRequest, UrlRequest

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture(params=["legacy", "auto"])
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    """In this process: it is about what is asked and answered."""
    return {"type": "inprocess", "server": busy, "name": "s", "protocol": request.param}


@pytest.fixture(params=["legacy", "auto"])
def process(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The same over stdio."""
    return busy_server(name="s", protocol=request.param)


async def ask(client: MCPClient, what: str) -> Any:
    result = await client.call_tool("ask", {"what": what})
    assert not result.is_error, result.text
    answer = json.loads(result.text)
    answer.pop("result_type", None)
    return answer


# ---------------------------------------------------------------- the person


async def test_a_form_is_filled_in_and_gets_its_defaults(process: dict[str, Any]) -> None:
    host = RecordingHost(content={"color": "red"})
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**process)
        assert await ask(client, "form") == {"action": "accept", "content": {"color": "red", "size": 3}}
    (asked,) = host.asked
    assert isinstance(asked, FormRequest)
    assert (asked.server, asked.message) == ("s", "Which color?")
    assert asked.schema["properties"]["color"] == {"type": "string"}


async def test_a_page_is_opened_only_if_it_is_one(server: dict[str, Any]) -> None:
    host = RecordingHost()
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**server)
        assert await ask(client, "url") == {"action": "accept"}
        assert await ask(client, "strange url") == {"action": "decline"}
    assert host.asked == [UrlRequest("s", "Log in", "https://example.com/login")]


async def test_a_no_is_told_to_the_server(server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model(host=RecordingHost(content={"color": "red"}, allow=False)) as client:
        await client.add_mcp_server(**server)
        assert await ask(client, "form") == {"action": "decline"}


async def test_the_time_a_person_takes_is_not_the_tools(server: dict[str, Any]) -> None:
    class Slow(Host):
        async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
            await asyncio.sleep(1.5)
            return Reply("cancel")

    async with asyncio.timeout(60), no_model(host=Slow()) as client:
        await client.add_mcp_server(**server, tool_timeout=1)
        assert await ask(client, "form") == {"action": "cancel"}


async def test_a_call_that_waits_for_a_person_can_be_cancelled(process: dict[str, Any]) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    class Waiting(Host):
        async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError

    async with asyncio.timeout(60):
        async with no_model(host=Waiting()) as client:
            await client.add_mcp_server(**process)
            calling = asyncio.create_task(client.call_tool("ask", {"what": "form"}))
            await begun.wait()
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            assert (await client.call_tool("work", {"steps": 0, "seconds": 0})).text == "done"
        await ended.wait()


# ---------------------------------------------------------------- the model


async def test_our_model_is_asked_within_limits_and_after_consent(server: dict[str, Any]) -> None:
    host = RecordingHost()
    with OpenAIServer([text("Hi!")]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=host) as client:
            await client.add_mcp_server(**server)
            answer = await ask(client, "text")
    assert (answer["role"], answer["content"]["text"], answer["stopReason"]) == ("assistant", "Hi!", "endTurn")
    (chat,) = model.chats
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hi."}]
    assert (chat["messages"], chat["max_tokens"]) == (messages, MAX_SAMPLING_TOKENS)
    assert host.asked == [SamplingRequest("s", messages, MAX_SAMPLING_TOKENS)]


async def test_a_server_gets_the_model_that_answers_now_whatever_it_was_before(process: dict[str, Any]) -> None:
    with OpenAIServer([text("Hi!")]) as model:
        async with asyncio.timeout(60), Agent(base_url=model.url, model="other", host=RecordingHost()) as agent:
            await agent.add_mcp_server(**process)
            await ask(agent, "tools")  # would like "other"
            agent.use_model("newer")
            await ask(agent, "tools")
            await ask(agent, "text")
    assert [chat["model"] for chat in model.chats] == ["other", "newer", "newer"]


async def test_what_is_refused_or_fails_is_told_without_details(server: dict[str, Any]) -> None:
    host = RecordingHost(allow=False)
    with OpenAIServer([status(400)]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=host) as client:
            await client.add_mcp_server(**server)
            result = await client.call_tool("ask", {"what": "text"})
            assert result.is_error
            assert "the user refused the sampling request" in result.text
            assert not model.chats
            host.allow = True
            result = await client.call_tool("ask", {"what": "text"})
            assert "the model could not be asked" in result.text
            assert model.url not in result.text


# ---------------------------------------------------------------- folders, and nothing at all


async def test_folders_are_named(server: dict[str, Any], tmp_path: Path) -> None:
    async with asyncio.timeout(60), no_model(host=RecordingHost(folders=[tmp_path])) as client:
        await client.add_mcp_server(**server)
        assert await ask(client, "roots") == {"roots": [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]}


@pytest.mark.parametrize("what", ["form", "url", "text", "roots"])
async def test_without_a_host_all_is_refused_at_once(server: dict[str, Any], what: str) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server)
        result = await client.call_tool("ask", {"what": what})
        assert result.is_error
        assert "not supported" in result.text or "capability" in result.text
        assert client.connections["s"].state == "ready"


async def test_a_host_that_fails_is_a_refusal(server: dict[str, Any]) -> None:
    class Broken(Host):
        async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
            raise RuntimeError("a detail")

    async with asyncio.timeout(60), no_model(host=Broken()) as client:
        await client.add_mcp_server(**server)
        result = await client.call_tool("ask", {"what": "form"})
        assert result.is_error
        assert "the client failed to answer" in result.text
        assert "a detail" not in result.text


async def test_a_protocol_can_be_prescribed() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("insists_on_the_handshake", name="old", protocol="legacy"))
        await client.add_mcp_server(**busy_server(name="new", protocol="2026-07-28"))
        assert (await client.call_tool("work", {"steps": 1, "seconds": 0})).text == "done"
        with pytest.raises(ServerConnectionError, match="'older'"):
            await client.add_mcp_server(**bad_server("insists_on_the_handshake", name="older", protocol="2026-07-28"))
