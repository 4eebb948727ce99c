"""What remote MCP servers, and what stands before them, do wrong: statuses, bodies, streams, sessions, redirects."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.serving import ServerScenario, served_by
from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.leftovers import SERVER_TOKEN, Leftovers
from tests.support.mcp_servers import no_model
from tests.support.processes import MemoryPeak

pytestmark = pytest.mark.anyio

GREETING = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "far", "version": "1"},
}
PONG = {"content": [{"type": "text", "text": "pong"}]}
HTML = {"content-type": "text/html"}
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
HEADERS = {"Authorization": f"Bearer {SERVER_TOKEN}", "X-Key": SERVER_TOKEN}

Answering = Callable[[Recorded], Answer]


def rpc(request: Recorded, result: Any = PONG) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request.body["id"], "result": result}


def body(request: Recorded, result: Any = PONG) -> bytes:
    return json.dumps(rpc(request, result)).encode()


def events(*data: bytes) -> Answer:
    return 200, EVENTS, b"".join(b"data: " + one + b"\n\n" for one in data)


def peer(get: Answering = lambda _: 405, **methods: Answering) -> HTTPPeer:
    """An MCP server with sessions; `methods` answer instead of it, by the last word of a method ("call", "initialize")."""

    def answer(request: Recorded) -> Answer:
        if request.method != "POST":
            return get(request) if request.method == "GET" else 200
        method = request.body.get("method", "").rpartition("/")[2]
        if method in methods:
            return methods[method](request)
        if "id" not in request.body:
            return 202
        results = {"initialize": GREETING, "list": {"tools": [{"name": "ping", "inputSchema": {"type": "object"}}]}}
        if method in results:
            return 200, {**JSON, "mcp-session-id": "s1"}, body(request, results[method])
        if method == "call":
            return rpc(request)
        error = {"code": -32601, "message": "no such method"}
        return {"jsonrpc": "2.0", "id": request.body["id"], "error": error}

    return HTTPPeer(answer)


async def meet(
    far: HTTPPeer,
    told: str | None,
    model: Any,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
    *,
    refused: str | None = None,
    kind: str = "http",
    state: str = "ready",
    **server: Any,
) -> list[str]:
    """An agent with this server and a well-behaved one; returns the methods that the far one was asked for."""
    scenario = ServerScenario("", (), "", told=told or "", refused=refused, state=state)
    with far:
        parameters = {"type": kind, "url": f"{far.url}/mcp", "headers": HEADERS, **server}
        await served_by(parameters, scenario, kind, model, leftovers, caplog)
        assert all(request.headers.get("x-key") == SERVER_TOKEN for request in far.requests)
    return [request.method if request.body is None else request.body.get("method", "") for request in far.requests]


BROKEN = r"^Error: MCP server 'bad' could not be reached \(.*\) during the call of 'ping'\. The call may have run\."
OFF = "^Error: MCP server 'bad' broke its answer off during the call of 'ping'"
NONSENSE = "^Error: the server's answer is not valid MCP"

CALLS: dict[str, tuple[Answering, str]] = {
    "202 and no answer": (lambda _: 202, "^Error: the server answered a request with HTTP 202"),
    "an empty body": (lambda _: (200, JSON), NONSENSE),
    "a page": (lambda _: (200, HTML, b"<html>log in"), "^Error: the server answered with text/html"),
    "no content type": (lambda r: (200, {}, body(r)), "^pong$"),
    "JSON as text": (lambda r: (200, {"content-type": "text/plain"}, body(r)), "^pong$"),
    "half of its JSON": (lambda r: (200, JSON, body(r)[:20]), NONSENSE),
    "another id": (lambda r: {**rpc(r), "id": 9_999}, "^pong$"),  # whose answer it is, is clear
    "a failure of nobody's": (lambda _: {"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "m"}}, "^Error: m$"),
    "no version of JSON-RPC": (lambda r: {"id": r.body["id"], "result": PONG}, "^pong$"),
    "a list of answers": (lambda r: (200, JSON, json.dumps([rpc(r)]).encode()), NONSENSE),
    "400": (lambda _: (400, HTML, b"<html>"), "HTTP 400 Bad Request"),
    "401": (lambda _: (401, HTML, b"<html>"), "HTTP 401 Unauthorized"),
    "401 with the key": (lambda r: (401, JSON, echo(r)), r"^Error: bad key Bearer \*\*\*|^Error: bad key \*\*\*"),
    "403": (lambda _: 403, "HTTP 403 Forbidden"),
    "429": (lambda _: (429, {"retry-after": "3600"}), "HTTP 429 Too Many Requests"),
    "500": (lambda _: (500, HTML, b"<html>" + b"x" * 2_000_000), "HTTP 500 Internal Server Error"),
    "502": (lambda _: 502, "HTTP 502 Bad Gateway"),
    "504": (lambda _: 504, "HTTP 504 Gateway Timeout"),
    "a connection that is reset": (lambda _: "reset", BROKEN),
    "a redirect to another host": (lambda _: (307, {"location": "http://127.0.0.2:9/mcp"}), "Redirect to .* not followed"),
    "a redirect to a file": (lambda _: (307, {"location": "file:///etc/passwd"}), "Redirect to file.* not followed"),
    "a redirect to itself": (lambda _: (307, {"location": "/mcp"}), "Redirect to .* not followed"),
    "a redirect to nowhere": (lambda _: 307, "HTTP 307 and doesn't say where to go"),
    "what is not gzip": (lambda _: (200, {**JSON, "content-encoding": "gzip"}, b"no gzip"), "can't be unpacked"),
    "what is packed strangely": (lambda _: (200, {**JSON, "content-encoding": "br"}, b"??"), "packed as 'br'"),
    "gzip": (lambda r: (200, {**JSON, "content-encoding": "gzip"}, gzip.compress(body(r))), "^pong$"),
    "events": (lambda r: events(body(r)), "^pong$"),
    "no events": (lambda _: events(), OFF),
    "half an event": (lambda r: (200, EVENTS, b"data: " + body(r)[:20]), OFF),
    "an event without an end": (lambda r: (200, EVENTS, b"data: " + body(r)), OFF),
    "garbage before its event": (lambda r: events(b"garbage", body(r)), NONSENSE),
    "odd events before its own": (lambda r: odd_events(r), "^pong$"),
    "events of bad text": (lambda r: events(body(r).replace(b"pong", b"p\xe9ng")), "^p\ufffdng$"),
    "packed events": (lambda r: packed_events(r), "^pong$"),
}  # fmt: skip


def echo(request: Recorded) -> bytes:
    error = {"code": 1, "message": f"bad key {request.headers['authorization']}"}
    return json.dumps({"jsonrpc": "2.0", "id": request.body["id"], "error": error}).encode()


def packed_events(request: Recorded) -> Answer:
    return 200, {**EVENTS, "content-encoding": "gzip"}, gzip.compress(b"data: " + body(request) + b"\n\n")


def odd_events(request: Recorded) -> Answer:
    odd = b": hi\n\nevent: ping\ndata: x\n\nevent: error\ndata: boo\n\nretry: 99999999999999999999\n\nid: \0\n\n"
    return 200, EVENTS, odd + b"data: " + body(request) + b"\n\n"


@pytest.mark.promise("valid", "no hang")
@pytest.mark.parametrize("name", CALLS)
async def test_a_call_is_answered_with(
    name: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    call, told = CALLS[name]
    await meet(peer(call=call), told, model, leftovers, caplog)


GREETED: dict[str, tuple[dict[str, Answering], str]] = {
    "401": ({"initialize": lambda _: 401, "discover": lambda _: 401}, r"refused access to .* \(HTTP 401\)"),
    "403": ({"initialize": lambda _: 403, "discover": lambda _: 403}, r"refused access to .* \(HTTP 403\)"),
    "404": ({"initialize": lambda _: 404, "discover": lambda _: 404}, r"offers no MCP at .* \(HTTP 404\)"),
    "503": ({"initialize": lambda _: 503, "discover": lambda _: 503}, "is not available: .* answered HTTP 503"),
    "202": ({"initialize": lambda _: 202}, "the server answered a request with HTTP 202"),
    "a page": (
        {"initialize": lambda _: (200, HTML, b"<html>\x1b[2J")},
        "the server answered with text/html",
    ),
    "an empty body": ({"initialize": lambda _: (200, JSON)}, "is not valid MCP"),
    "nothing": ({"initialize": lambda _: "stall"}, "was not ready within 0.7 s"),
    "a redirect": ({"initialize": lambda _: (307, {"location": "http://127.0.0.2:9/"})}, "Redirect to .* not followed"),
    "an illegal session": (
        {"initialize": lambda r: (200, {**JSON, "mcp-session-id": "caf\xe9"}, body(r, GREETING))},
        "its session id can't be sent back",
    ),
    "a page in place of its list": (
        {"list": lambda _: (200, HTML, b"<html>")},
        "the server answered with text/html",
    ),
}


@pytest.mark.promise("valid", "no hang")
@pytest.mark.parametrize("name", GREETED)
async def test_a_server_that_greets_with(
    name: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    methods, refused = GREETED[name]
    limit = 0.7 if name == "nothing" else 30.0
    await meet(peer(**methods), None, model, leftovers, caplog, refused=refused, startup_timeout=limit)


@pytest.mark.promise("no hang", "bounded")
async def test_streams_that_end_at_once_are_not_opened_hundreds_of_times(
    model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    opened = 0

    def get(_: Recorded) -> Answer:
        nonlocal opened
        opened += 1
        return 200, EVENTS, b"id: 6\nretry: 0\ndata:\n\n"

    def call(_: Recorded) -> Answer:
        return 200, EVENTS, b"id: 5\nretry: 0\ndata:\n\n"

    told = r"^Error: MCP server 'bad': the tool 'ping' did not finish within 1 s"
    await meet(peer(get, call=call), told, model, leftovers, caplog, tool_timeout=1)
    assert 2 <= opened < 20


@pytest.mark.promise("no hang")
async def test_a_notification_that_is_never_taken_holds_nobody_up(
    model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await meet(peer(initialized=lambda _: "stall"), "^pong$", model, leftovers, caplog)


@pytest.mark.promise("no loss")
async def test_a_session_that_is_lost_is_opened_again_once(
    model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    lost = iter([404])
    far = peer(call=lambda request: next(lost, None) or rpc(request))
    asked = await meet(far, "^pong$", model, leftovers, caplog)
    assert (asked.count("initialize"), asked.count("tools/call")) == (2, 2)


@pytest.mark.promise("no hang")
async def test_a_session_that_is_lost_again_and_again_is_given_up(
    model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    told = r"^Error: MCP server 'bad' has ended the session during the call of 'ping'\. The call did not run\."
    asked = await meet(peer(call=lambda _: 404), told, model, leftovers, caplog, state="lost")
    assert asked.count("tools/call") == 2


ENDPOINTS = [
    "http://127.0.0.1:2/x",
    "//elsewhere.example/x",
    "http://127.0.0.1:{port}@elsewhere.example/x",
    "https://127.0.0.1:{port}/x",
    "http://localhost:{port}/x",
    "file:///etc/passwd",
    "javascript:alert(1)",
]


@pytest.mark.promise("no leak", "no surprise")
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_messages_go_to_no_other_place_than_the_server_itself(
    endpoint: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    def get(_: Recorded) -> Answer:
        port = far.url.rpartition(":")[2]
        return 200, EVENTS, f"event: endpoint\ndata: {endpoint.replace('{port}', port)}\n\n".encode()

    far = peer(get)
    refused = "it wants its messages sent to another host"
    assert await meet(far, None, model, leftovers, caplog, kind="sse", refused=refused) == ["GET"]


async def speaks_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9\r\n\r\n")
    await writer.drain()
    await reader.read()
    writer.close()


async def hangs_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    while await reader.read(1_000):
        pass
    writer.close()


@pytest.mark.promise("no hang", "valid")
@pytest.mark.parametrize("kind", ["http", "sse"])
@pytest.mark.parametrize(
    ("behave", "scheme", "expected"),
    [
        (speaks_ssh, "http", "could not be reached at .* Is it running"),
        (hangs_up, "http", "could not be reached at .* Is it running"),
        (says_nothing, "http", r"was not ready within 0\.7 s"),
        (speaks_ssh, "https", r"could not be reached at https:.*SSL"),
    ],
    ids=["something else", "somebody who hangs up", "somebody silent", "no TLS"],
)
async def test_at_its_port_there_is(
    behave: Any,
    scheme: str,
    expected: str,
    kind: str,
    model: Any,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await asyncio.start_server(behave, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        parameters = {"type": kind, "url": f"{scheme}://127.0.0.1:{port}/mcp", "headers": HEADERS}
        if behave is says_nothing:
            parameters["startup_timeout"] = 0.7
        await served_by(parameters, ServerScenario("", (), "", refused=expected), kind, model, leftovers, caplog)


@pytest.mark.promise("bounded")
async def test_a_bomb_of_gzip_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 200_000_000)
    with peer(call=lambda _: (200, {**JSON, "content-encoding": "gzip"}, bomb)) as far:
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server("http", url=f"{far.url}/mcp", name="bad")
            with MemoryPeak() as peak:
                result = await client.call_tool("ping")
            assert (result.is_error, "too long" in result.text) == (True, True)
            assert peak.grown < 120_000_000
