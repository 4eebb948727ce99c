"""What a tool's result links to, the model can have read: by the server that gave the link, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.library_server import PIXEL, build
from tests.support.mcp_servers import library_server
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents.agent.agent import Agent
from tiny_agents.mcp_client.resources.resources import ResourceContent
from tiny_agents.mcp_client.results.links import MAX_LINKS, READ_NOTE, Links
from tiny_agents.mcp_client.results.results import ToolResult
from tiny_agents.mcp_client.tools.table import READ_LINK

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

LINK = "[Resource link 'found' (book://moby-dick, text/plain)]"


async def answers(model: OpenAIServer, *servers: dict[str, Any]) -> list[str]:
    """What the model is told, call by call."""
    async with asyncio.timeout(60), Agent(base_url=model.url, model="m") as agent:
        for server in servers:
            await agent.add_mcp_server(**server)
        async for _ in agent.run("?"):
            assert_valid(agent.messages)
        return [str(message.get("content")) for message in agent.messages if message.get("role") == "tool"]


def offered(model: OpenAIServer, turn: int) -> set[str]:
    return {tool["function"]["name"] for tool in model.chats[turn]["tools"]}


@pytest.mark.parametrize("protocol", ["legacy", "auto"])
async def test_a_link_is_read_on_demand(serve: Callable[..., OpenAIServer], protocol: str) -> None:
    model = serve(calls(("find", {})), calls((READ_LINK, {"uri": "book://moby-dick"})), text("A whale."))
    found, read = await answers(model, library_server(protocol=protocol))
    assert found == f"Here it is.\n{LINK}\n{READ_NOTE}"
    assert read == "Call me Ishmael."
    assert READ_LINK not in offered(model, 0)
    assert READ_LINK in offered(model, 1)


async def test_only_what_was_linked_is_read(serve: Callable[..., OpenAIServer], tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    model = serve(
        calls(("find", {"uri": secret.as_uri()})),
        calls((READ_LINK, {"uri": "book://moby-dick"}), (READ_LINK, {"uri": secret.as_uri()})),
        text("Well."),
    )
    _, other, file = await answers(model, {"type": "inprocess", "server": build(), "name": "library"})
    assert "no tool's result had a link to 'book://moby-dick'" in other
    assert file.startswith("Error: MCP server 'library' refused to read")
    assert "secret\n" not in file


async def test_long_and_binary_resources_are_told_as_results_are(serve: Callable[..., OpenAIServer]) -> None:
    model = serve(
        calls(("find", {"uri": "long://text"}), ("find", {"uri": "picture://pixel"})),
        calls((READ_LINK, {"uri": "long://text"}), (READ_LINK, {"uri": "picture://pixel"})),
        calls(("read_on", {"result": "r1", "start": 99_990})),
        text("Well."),
    )
    *_, long, picture, rest = await answers(model, {"type": "inprocess", "server": build(), "name": "library"})
    assert len(long) < 41_000
    assert "The tool 'read_on' reads on: result 'r1'" in long
    assert rest.startswith("x" * 10 + "\n")
    assert picture == "[Binary Content (picture://pixel): image/png, 70 bytes]"
    *_, shown = model.chats[2]["messages"]
    assert shown["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PIXEL}"


async def test_of_two_servers_with_the_same_link_the_model_names_one(serve: Callable[..., OpenAIServer]) -> None:
    model = serve(
        calls(("find", {}), ("two__find", {})),
        calls((READ_LINK, {"uri": "book://moby-dick"}), (READ_LINK, {"uri": "book://moby-dick", "server": "two"})),
        text("Well."),
    )
    servers = [{"type": "inprocess", "server": build(), "name": name} for name in ("one", "two")]
    *_, unclear, clear = await answers(model, *servers)
    assert "several servers gave this link; say whose is meant with server: one, two" in unclear
    assert clear == "Call me Ishmael."


async def test_links_are_remembered_up_to_a_number() -> None:
    async def read(uri: str, server: str) -> tuple[ResourceContent, ...]:
        return (ResourceContent(uri, text=f"{uri} of {server}"),)

    links = Links(read)
    assert not links.note(
        "s", ToolResult("", content=({"type": "text", "text": "x"}, {"type": "resource_link", "uri": 3}))
    )
    many = [{"type": "resource_link", "uri": f"x://{n}"} for n in range(MAX_LINKS + 5)]
    assert links.note("s", ToolResult("", content=tuple(many)))
    assert (await links.read_resource_link("x://5")).text == "x://5 of s"
    with pytest.raises(ValueError, match="no tool's result had a link to 'x://4'"):
        await links.read_resource_link("x://4")
