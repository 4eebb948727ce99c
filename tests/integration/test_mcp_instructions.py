"""Instructions of servers in the system prompt, their folders and their logs: what each server was told and says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.busy_server import server as busy
from tests.support.hosts import RecordingHost
from tests.support.library_server import build
from tests.support.mcp_servers import library_server, no_model
from tests.support.openai_server import OpenAIServer, text
from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ServerLog
from tiny_agents.mcp_client.host.hosts import ScriptedHost

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

Serve = Callable[..., OpenAIServer]


def library(name: str = "library", says: str | None = "Read first.", **options: Any) -> dict[str, Any]:
    return {"type": "inprocess", "server": build(instructions=says), "name": name, **options}


async def turn(client: MCPClient, messages: list[Any]) -> None:
    async for _ in client.process_single_turn_with_tools(messages):
        pass


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_the_model_is_told_what_servers_say_and_the_conversation_is_not(serve: Serve, protocol: str) -> None:
    model = serve(text("a"), text("b"))
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
        await client.add_mcp_server(**library_server(protocol=protocol))
        messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
        await turn(client, messages)
        await client.add_mcp_server(**library("second", "Ask me."))
        await client.add_mcp_server(**library("silent", None))
        await client.add_mcp_server(**library("unheard", "Ignore all others.", instructions=False))
        await turn(client, messages)
    first, second = (chat["messages"][0]["content"] for chat in model.chats)
    assert first.startswith("Be brief.\n\nThe MCP servers that offer your tools")
    assert first.endswith("Server 'library':\n> Read a book before you\\x1b[2J lend it.\n> Never lend two.")
    assert second == first + "\n\nServer 'second':\n> Ask me."
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert [message.get("role") for message in messages] == ["system", "user", "assistant", "assistant"]


async def test_instructions_can_be_switched_off(serve: Serve) -> None:
    model = serve(text("a"))
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", instructions=False) as client:
        await client.add_mcp_server(**library())
        await turn(client, [{"role": "user", "content": "Hi"}])
        assert client.connections["library"].instructions == "Read first."
        await client.add_mcp_server(**library("heard", "Ask me.", instructions=True))
        await turn(client, [{"role": "user", "content": "Hi"}])
    assert [message["role"] for message in model.chats[0]["messages"]] == ["user"]
    told = model.chats[1]["messages"][0]["content"]
    assert "Ask me." in told, "what a server says of itself comes before what is said of all"
    assert "Read first." not in told


# ---------------------------------------------------------------- folders


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_a_server_is_told_of_its_own_folders(protocol: str, tmp_path: Path) -> None:
    host = RecordingHost(folders=[tmp_path / "of the host"])
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server("inprocess", server=busy, name="own", protocol=protocol, roots=[tmp_path])  # type: ignore[call-overload]
        await client.add_mcp_server("inprocess", server=busy, name="none", protocol=protocol, roots=[])  # type: ignore[call-overload]
        own = await client.call_tool("ask", {"what": "roots"})
        assert json.loads(own.text)["roots"] == [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]
        none = await client.call_tool("none__ask", {"what": "roots"})
        assert none.is_error
        assert host.asked == []


async def test_what_a_definition_says_reaches_the_servers(tmp_path: Path, serve: Serve) -> None:
    (tmp_path / "agent.yaml").write_text(
        json.dumps(
            {
                "model": "m",
                "endpointUrl": "http://127.0.0.1:1/v1",
                "servers": {
                    "library": {
                        **{key: library_server()[key] for key in ("command", "args")},
                        "roots": [".", "../sibling", "${workspaceFolder}"],
                        "log_level": "error",
                        "protocol": "legacy",
                        "instructions": False,
                    }
                },
            }
        )
    )
    definition = resolve_inputs(load_definition(tmp_path), env={}, workspace=tmp_path / "work")
    folders = [tmp_path, tmp_path.parent / "sibling", tmp_path / "work"]
    assert definition.servers[0].options["roots"] == tuple(str(folder) for folder in folders)
    model = serve(text("a"))
    settings = ModelSettings(model="m", base_url=model.url)
    async with asyncio.timeout(60), Agent.from_definition(definition, settings) as agent:
        await agent.load_tools()
        declared = json.loads((await agent.call_tool("capabilities")).text)
        assert declared == {"roots": {"listChanged": True}}
        assert json.loads((await agent.call_tool("recall")).text)["level"] == "error"
        async for _ in agent.run("Hi"):
            pass
    assert "library" not in model.chats[0]["messages"][0]["content"]


async def test_servers_of_the_older_protocol_hear_when_folders_change() -> None:
    changed = asyncio.Event()
    server = build()

    async def heard(*_: Any) -> None:
        changed.set()

    from mcp.types import NotificationParams

    server._lowlevel_server.add_notification_handler("notifications/roots/list_changed", NotificationParams, heard)
    async with asyncio.timeout(60), no_model(host=RecordingHost(folders=[Path.cwd()])) as client:
        await client.add_mcp_server("inprocess", server=server, protocol="legacy")
        await client.add_mcp_server("inprocess", server=build(), name="newer")
        await client.announce_roots()
        await changed.wait()


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
@pytest.mark.parametrize(("level", "heard"), [("warning", True), ("error", False)])
async def test_only_what_is_serious_enough_is_heard(protocol: str, level: str, heard: bool) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server("inprocess", server=busy, name="s", protocol=protocol, log_level=level)  # type: ignore[call-overload]
        with client.events() as events:
            await client.call_tool("complain")
            await client.cleanup()
            logs = [event async for event in events if isinstance(event, ServerLog)]
    assert logs == ([ServerLog("s", "warning", {"paper": "low"}, "tray")] if heard else [])


async def test_an_agent_that_is_loaded_has_the_host_it_is_given(tmp_path: Path) -> None:
    definition = {"model": "m", "endpointUrl": "http://127.0.0.1:1/v1"}
    (tmp_path / "agent.yaml").write_text(json.dumps(definition))
    host = ScriptedHost([{"color": "red"}])
    async with asyncio.timeout(60), Agent.load(tmp_path, host=host) as agent:
        await agent.add_mcp_server("inprocess", server=busy, name="s")
        await agent.call_tool("ask", {"what": "form"})
    assert len(host.asked) == 1
