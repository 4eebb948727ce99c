"""TCP connections to a remote server whose answers are event streams: kept for the next call."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from benchmarks.tool_server import Http, tools
from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.mcp_servers import no_model
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


async def test_nothing_is_asked_before_the_server_s_own_stream_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that asks something during a call does it there, and where it isn't open, nobody hears of it."""
    monkeypatch.setattr("tiny_agents.mcp_client.transports.streamable.LISTEN_S", 60)
    is_asked, is_open = threading.Event(), threading.Event()
    in_order: list[bool] = []

    def answer(request: Recorded) -> Answer:
        if request.method == "GET":
            is_asked.wait(0.3)  # that it isn't can only be seen by waiting
            is_open.set()
        elif request.method == "POST" and request.body["method"].startswith("tools/"):
            in_order.append(is_open.is_set())
            is_asked.set()
        return old._answer(request)

    old = HTTPPeer.legacy_mcp()
    with old, HTTPPeer(answer) as peer:
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server(type="http", name="old", url=f"{peer.url}/mcp")
            assert (await client.call_tool("count")).text == "1"
    assert in_order == [True, True]
