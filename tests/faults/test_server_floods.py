"""Servers that are too much, over every transport: the client stays alive and small, and says what is wrong."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.http_peer import HTTPPeer
from tests.support.mcp_servers import bad_server, bad_server_over, no_model
from tests.support.processes import Mark, MemoryPeak, open_descriptors
from tiny_agents.errors import ServerConnectionError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ToolProgress

pytestmark = [pytest.mark.anyio, pytest.mark.promise("bounded")]

MB = 1_000_000
TRANSPORTS = ["stdio", "http", "json", "sse"]
"""Over http a server may answer with a stream of events, or ("json") with one body."""

everywhere = pytest.mark.parametrize("kind", TRANSPORTS)


def mcp_tasks() -> list[str]:
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("MCP server")]


@asynccontextmanager
async def hostile(
    kind: str, behaviour: str, argument: str = "", *, most: int = 60 * MB, **options: Any
) -> AsyncIterator[MCPClient]:
    """A client of that server, and of one that is well-behaved, which has to serve throughout.

    Nothing may be left of both afterwards, nor may this process have needed more than `most` bytes.
    """
    mark = Mark()
    with bad_server_over(kind, behaviour, argument) as parameters:
        if kind == "stdio":
            parameters["env"] = mark.env
        descriptors = open_descriptors()
        with MemoryPeak() as peak:
            async with asyncio.timeout(150):
                async with no_model(**options) as client:
                    await client.add_mcp_server(**bad_server("well_behaved", name="good", env=mark.env))
                    await client.add_mcp_server(**parameters)
                    yield client
                    assert (await client.call_tool("ping")).text == "pong"
                    assert {connection.state for connection in client.connections.values()} == {"ready"}
                await mark.gone()
        assert peak.grown < most
        assert not mcp_tasks()
        assert open_descriptors() <= descriptors


@everywhere
async def test_a_result_of_fifty_megabytes(kind: str) -> None:
    async with hostile(kind, "answers_too_much", "50000000", most=450 * MB) as client:
        result = await client.call_tool("answers_too_much__ping")
        assert len(result.content[0]["text"]) == 50 * MB
        assert len(result.text) < 50_000
        assert "first 40,000 of 50,000,000 characters" in result.text


@pytest.mark.parametrize("kind", ["stdio", "http", "sse"])
async def test_progress_in_numbers_without_end(kind: str) -> None:
    async with hostile(kind, "reports_impossible_progress") as client:
        with client.events() as events:
            assert (await client.call_tool("reports_impossible_progress__ping")).text == "pong"
            reports = [(event.done, event.total) for event in events.taken() if isinstance(event, ToolProgress)]
        assert reports == [(1.0, 2.0), (2.0, None)]


async def test_ten_thousand_tools() -> None:
    async with hostile("stdio", "has_many_tools", "10000", most=150 * MB) as client:
        assert len(client.available_tools) == 2 + 10_000
        assert (await client.call_tool("tool_9999")).text == "pong"


@pytest.mark.parametrize(
    ("kind", "behaviour", "argument"),
    [
        *((kind, "floods_notifications", "300") for kind in ("stdio", "http", "sse")),
        *((kind, "asks_without_end", "200") for kind in ("stdio", "http", "sse")),
        *((kind, "answers_nobody", "1000") for kind in ("stdio", "sse")),  # over http each answer has its own request
    ],
)
async def test_a_flood_before_an_answer(kind: str, behaviour: str, argument: str) -> None:
    async with hostile(kind, behaviour, argument, most=30 * MB) as client:
        assert (await client.call_tool(f"{behaviour}__ping")).text == "pong"


@everywhere
async def test_odd_schemas_cost_nobody_else_their_tools(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="tiny_agents"):
        async with hostile(kind, "has_odd_schemas") as client:
            odd = [tool for tool in client.available_tools if tool.function.name not in ("ping", "leave")]
            assert len(odd) == 21
            assert all(tool.function.parameters["type"] == "object" for tool in odd)
            results = {tool.function.name: await client.call_tool(tool.function.name) for tool in odd}
    assert (
        "MCP server 'has_odd_schemas': its list of tools is not valid MCP: 'is_no_schema' takes no object"
        in caplog.text
    )
    failed = {name: result.text for name, result in results.items() if result.is_error}
    assert failed == {
        "is_deep_result": "the result of 'is_deep_result' is not what its output schema says: 'a' is not of the type object"
    }
    assert {result.text for name, result in results.items() if name not in failed} == {"done"}


@everywhere
async def test_names_and_descriptions_that_nobody_could_use(kind: str) -> None:
    async with hostile(kind, "has_nameless_tools") as client:
        names = [tool.function.name for tool in client.available_tools]
        assert len(set(names)) == len(names) == 8
        assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in names)
        results = await asyncio.gather(*(client.call_tool(name) for name in names if name != "leave"))
        assert {result.text for result in results} == {"pong"}
    async with hostile(kind, "describes_a_megabyte") as client:
        described = [len(tool.function.description or "") for tool in client.available_tools]
        assert max(described) < 50_000


@everywhere
async def test_characters_that_are_none_cost_themselves_only(kind: str) -> None:
    async with hostile(kind, "writes_bad_text") as client:
        result = await client.call_tool("writes_bad_text__ping")
        assert result.text == "caf\ufffd \ufffd 😀"


@pytest.mark.parametrize("kind", ["http", "json", "sse"])
async def test_a_remote_server_that_never_answers(kind: str) -> None:
    with bad_server_over(kind, "never_answers") as parameters:
        async with asyncio.timeout(30), no_model(startup_timeout=0.7) as client:
            with pytest.raises(ServerConnectionError, match="'never_answers' was not ready within 0.7 s"):
                await client.add_mcp_server(**parameters)
            assert not client.connections
    assert not mcp_tasks()


@pytest.mark.parametrize("kind", ["http", "json"])
async def test_a_remote_server_that_answers_with_garbage_is_named(kind: str) -> None:
    with bad_server_over(kind, "writes_garbage") as parameters:
        async with asyncio.timeout(30), no_model() as client:
            with pytest.raises(ServerConnectionError) as caught:
                await client.add_mcp_server(**parameters)
    expected = "MCP server 'writes_garbage' could not be used: the server's answer is not valid MCP (Invalid JSON: "
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


async def test_garbage_between_the_events_of_the_older_transport_is_skipped() -> None:
    async with hostile("sse", "writes_garbage") as client:
        assert (await client.call_tool("writes_garbage__ping")).text == "pong"


async def test_ten_megabytes_of_standard_error_are_not_kept() -> None:
    async with hostile("stdio", "floods_stderr", most=10 * MB) as client:
        assert (await client.call_tool("floods_stderr__ping")).text == "pong"


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_redirect_to_another_host_is_not_followed(kind: str) -> None:
    with HTTPPeer(lambda request: 404) as other:
        elsewhere = f"{other.url}/collect"
        moved = {"Location": elsewhere, "Content-Type": "application/json"}
        with HTTPPeer(lambda request: (307, moved)) as peer:
            async with asyncio.timeout(30), no_model() as client:
                headers = {"Authorization": "Bearer secret-token"}
                with pytest.raises(ServerConnectionError, match="not followed") as caught:
                    await client.add_mcp_server(kind, url=f"{peer.url}/mcp", name="moved", headers=headers)
    assert str(caught.value).startswith("MCP server 'moved' ")
    assert other.url in str(caught.value)
    assert other.requests == []
