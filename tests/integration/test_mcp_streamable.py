"""Streamable HTTP below the protocol: sessions, the server's own stream, streams that are resumed, redirects."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.mcp_servers import no_model
from tests.support.sdk_loaded import run_and_show_sdk
from tiny_agents.errors import ServerConnectionError, ServerTimeoutError

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

EVENTS = {"content-type": "text/event-stream"}
GREETING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "far", "version": "1"},
}
TOOLS = {"tools": [{"name": "ping", "inputSchema": {"type": "object"}}]}
KEYS = {"arguments", "requestId"}
PONG = {"content": [{"type": "text", "text": "pong"}]}


def rpc(request: Recorded, result: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request.body["id"], "result": result}).encode()


def far(
    call: Callable[[Recorded], Answer], get: Callable[[Recorded], Answer] = lambda _: 405, *, session: str = "s1"
) -> HTTPPeer:
    """A server with a session, whose one tool is answered by `call`."""

    def answer(request: Recorded) -> Answer:
        if request.method != "POST":
            return get(request) if request.method == "GET" else 200
        match request.body.get("method"):
            case "initialize":
                headers = {"content-type": "application/json", **({"mcp-session-id": session} if session else {})}
                return 200, headers, rpc(request, GREETING)
            case "tools/list":
                return 200, {"content-type": "application/json"}, rpc(request, TOOLS)
            case "tools/call":
                return call(request)
            case "server/discover":
                return 400
        return 202

    return HTTPPeer(answer)


def pong(request: Recorded) -> Answer:
    return 200, EVENTS, b"data: " + rpc(request, PONG) + b"\n\n"


async def called(peer: HTTPPeer, **server: Any) -> str:
    """What a call says; the connection is opened for it, and closed."""
    with peer:
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="far", **server)
            return (await client.call_tool("ping")).text


def asked(peer: HTTPPeer, method: str) -> list[dict[str, str]]:
    return [request.headers for request in peer.requests if request.method == method]


# ---- streams that break off


async def test_an_answer_whose_stream_ends_too_early_is_asked_for_again_from_its_last_event_on() -> None:
    calls: list[Recorded] = []

    def call(request: Recorded) -> Answer:
        calls.append(request)
        return 200, EVENTS, b"id: 6\ndata:\n\nid: 7\nretry: 0\ndata:\n\n: and no more\n\n"

    def get(request: Recorded) -> Answer:
        if "last-event-id" not in request.headers:
            return 405
        if request.headers["last-event-id"] == "7":
            return 200, EVENTS, b"id: 8\ndata:\n\n"
        return 200, EVENTS, b"id: 9\nevent: message\ndata: " + rpc(calls[0], PONG) + b"\n\n"

    peer = far(call, get)
    assert await called(peer) == "pong"
    resumed = [headers for headers in asked(peer, "GET") if "last-event-id" in headers]
    assert [headers["last-event-id"] for headers in resumed] == ["7", "8"]
    assert all(headers["mcp-session-id"] == "s1" for headers in resumed)
    assert all(headers["mcp-protocol-version"] == "2025-06-18" for headers in resumed)
    assert len(calls) == 1


@pytest.mark.parametrize(("event", "resumed"), [(b"id: 7\nretry: 0\ndata:\n\n", 2), (b"retry: 0\ndata:\n\n", 0)])
async def test_an_answer_that_can_t_be_resumed_is_given_up(event: bytes, resumed: int) -> None:
    def get(request: Recorded) -> Answer:
        return 503 if "last-event-id" in request.headers else 405

    peer = far(lambda _: (200, EVENTS, event), get)
    with pytest.raises(ServerConnectionError, match="'far' broke its answer off during the call of 'ping'"):
        await called(peer)
    assert sum("last-event-id" in headers for headers in asked(peer, "GET")) == resumed


# ---- the server's own stream


async def test_what_a_server_says_unasked_is_heard_and_its_stream_opened_again() -> None:
    changed = threading.Event()
    listed: list[Recorded] = []

    def get(request: Recorded) -> Answer:
        if request.headers.get("last-event-id") == "2":
            changed.set()
            return 405
        notice = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        return 200, EVENTS, b"id: 2\nretry: 0\ndata: " + json.dumps(notice).encode() + b"\n\n"

    peer = far(pong, get)
    original = peer._answer

    def answer(request: Recorded) -> Answer:
        if request.body is not None and request.body.get("method") == "tools/list":
            listed.append(request)
            if len(listed) == 2:
                relisted.set()
        return original(request)

    relisted = threading.Event()
    peer._answer = answer
    with peer:
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="far")
            assert await asyncio.to_thread(changed.wait, 30)
            assert await asyncio.to_thread(relisted.wait, 30)
    assert all(headers["accept"] == "text/event-stream" for headers in asked(peer, "GET"))


@pytest.mark.parametrize(("session", "streams"), [("s1", 1), ("", 0)])
async def test_a_server_without_a_stream_of_its_own_is_asked_once_and_one_without_sessions_never(
    session: str, streams: int
) -> None:
    peer = far(pong, session=session)
    assert await called(peer) == "pong"
    assert len(asked(peer, "GET")) == streams


# ---- sessions


@pytest.mark.parametrize(("session", "terminate", "ends"), [("s1", True, 1), ("s1", False, 0), ("", True, 0)])
async def test_a_session_is_ended_with_the_connection(session: str, terminate: bool, ends: int) -> None:
    peer = far(pong, session=session)
    assert await called(peer, terminate_on_close=terminate) == "pong"
    ended = asked(peer, "DELETE")
    assert len(ended) == ends
    assert all(headers["mcp-session-id"] == "s1" for headers in ended)
    assert all(headers["mcp-protocol-version"] == "2025-06-18" for headers in ended)


async def test_a_call_that_is_under_way_ends_with_its_connection() -> None:
    arrived = threading.Event()

    def call(_: Recorded) -> Answer:
        arrived.set()
        return "stall"

    with far(call) as peer:
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="far")
            calling = asyncio.create_task(client.call_tool("ping"))
            assert await asyncio.to_thread(arrived.wait, 30)
            await client.cleanup()
            with pytest.raises(ServerConnectionError):
                await calling
        assert len(asked(peer, "DELETE")) == 1


async def test_a_server_with_a_session_is_told_that_a_call_is_given_up_and_its_stream_is_closed() -> None:
    told = threading.Event()
    peer = far(lambda _: "stall")
    original = peer._answer

    def answer(request: Recorded) -> Answer:
        if request.body is not None and request.body.get("method") == "notifications/cancelled":
            told.set()
        return original(request)

    peer._answer = answer
    with peer:
        async with asyncio.timeout(60), no_model(tool_timeout=0.3) as client:
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="far")
            with pytest.raises(ServerTimeoutError):
                await client.call_tool("ping")
            assert await asyncio.to_thread(told.wait, 30)
    call, notice = (request for request in peer.requests if (request.body or {}).get("params", {}).keys() & KEYS)
    assert notice.body["params"]["requestId"] == call.body["id"]
    assert notice.headers["mcp-session-id"] == "s1"


async def test_a_redirect_within_the_server_is_followed_with_the_whole_message() -> None:
    def call(request: Recorded) -> Answer:
        return pong(request) if request.path == "/elsewhere" else (307, {"location": "/elsewhere"})

    peer = far(call)
    assert await called(peer) == "pong"
    assert [request.path for request in peer.requests if (request.body or {}).get("method") == "tools/call"] == [
        "/mcp",
        "/elsewhere",
    ]


# ---- what isn't needed


def test_an_agent_with_a_remote_server_loads_neither_the_sdk_nor_what_that_stands_on() -> None:
    """They would be most of a start and of the memory."""
    program = """
import asyncio, sys
from benchmarks.tool_server import Http, tools
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents import Agent

async def main():
    far = await asyncio.start_server(Http(tools(2)).serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{far.sockets[0].getsockname()[1]}/mcp"
    with OpenAIServer([calls(("look", {})), text("done")]) as model:
        async with far, Agent(base_url=model.url, model="m") as agent:
            await agent.add_mcp_server("http", url=url)
            result = await agent.run_to_completion("go")
            print([message["content"] for message in result.messages if message["role"] == "tool"])

asyncio.run(main())
"""
    done = run_and_show_sdk(program)
    assert done.stdout == "['It is 42.']\n[]\n", done.stderr
