"""TCP connections to a remote server whose answers are event streams: kept for the next call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.tool_server import Http, tools
from tiny_agents import MCPClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


class Counted(Http):
    """`holds` leaves streams open behind the answer, until the client closes them."""

    def __init__(self, *, holds: bool = False) -> None:
        super().__init__(tools(2))
        self.holds = holds
        self.left = asyncio.Event()

    async def end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.holds:
            await super().end(reader, writer)
            return
        await reader.read()
        self.left.set()


@asynccontextmanager
async def serving(http: Counted) -> AsyncIterator[str]:
    server = await asyncio.start_server(http.serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"


async def test_calls_one_after_the_other_go_over_the_connection_that_is_there() -> None:
    http = Counted()
    async with serving(http) as url, MCPClient(model="m", base_url="http://127.0.0.1:9/v1") as client:
        await client.add_mcp_server(type="http", name="held", url=url)
        await client.call_tool("look", {"n": 1})
        before = http.connections
        for _ in range(10):
            assert (await client.call_tool("look", {"n": 1})).text == "It is 42."
        assert http.connections <= before + 1  # one more, if a call came before the end of the answer before


async def test_an_answer_whose_stream_stays_open_is_not_waited_for_and_its_connection_is_closed() -> None:
    http = Counted(holds=True)
    async with (
        asyncio.timeout(60),
        serving(http) as url,
        MCPClient(model="m", base_url="http://127.0.0.1:9/v1") as client,
    ):
        await client.add_mcp_server(type="http", name="held", url=url)
        for _ in range(3):
            assert (await client.call_tool("look", {"n": 1})).text == "It is 42."
        await http.left.wait()
