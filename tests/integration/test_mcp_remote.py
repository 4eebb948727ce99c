"""Remote servers below the protocol: proxies in between, cookies, how long what is waited for."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.internet import Asked, Internet, Reply
from tests.support.mcp_servers import no_model
from tiny_agents.errors import ServerConnectionError
from tiny_agents.inference.http.http1.pool import Waits
from tiny_agents.inference.http.senders import new_sender
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.trust import trust_store
from tiny_agents.mcp_client.connection.watch import CODE_BROKEN, Watch
from tiny_agents.mcp_client.protocol.messages import RpcError
from tiny_agents.mcp_client.transports.http_client import RemoteClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

JSON = {"content-type": "application/json"}
SECRETS = ("opaque-value", "pass-word")


async def test_a_server_behind_a_proxy_gets_the_whole_message_and_no_log_its_secrets(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: Recorded) -> Answer:
        path, _, query = request.path.partition("?")
        if not path.endswith("/"):
            return 307, {"location": f"{path}/?{query}"}
        answered = old._answer(request)
        if isinstance(answered, dict):  # nobody but us may be there to unpack it
            return 200, {**JSON, "content-encoding": "gzip"}, gzip.compress(json.dumps(answered).encode())
        return answered

    with HTTPPeer.legacy_mcp() as old, HTTPPeer(answer) as proxy, caplog.at_level(logging.INFO):
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with asyncio.timeout(60), no_model() as client:
            url = "http://me:pass-word@mcp.example/mcp?which=opaque-value"
            await client.add_mcp_server("http", url=url, name="far", sse_read_timeout=20)
            assert (await client.call_tool("count")).text == "1"
            lost = await client.call_tool("status_503")
            assert lost.text == "the server answered HTTP 503 Service Unavailable"
    asked = {f"http://mcp.example/mcp{slash}?which=opaque-value" for slash in ("", "/")}
    assert {request.path for request in proxy.requests} == asked
    assert {request.headers["authorization"] for request in proxy.requests} == {"Basic bWU6cGFzcy13b3Jk"}
    assert {request.headers["host"] for request in proxy.requests} == {"mcp.example"}
    assert "HTTP Request: POST http://mcp.example/mcp" in caplog.text
    assert [secret for secret in SECRETS if secret in caplog.text] == []


async def test_a_server_behind_tls_and_a_proxy_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(asked: Asked) -> Reply:
        answered = old._answer(Recorded(asked.method, asked.path, asked.headers, asked.body))
        if isinstance(answered, int):
            return Reply(b"", status=answered)
        code, headers, body = answered if isinstance(answered, tuple) else (200, JSON, json.dumps(answered).encode())  # type: ignore[misc]
        return Reply(body, code, {**headers, "content-type": "application/json"})

    trust_store.cache_clear()
    try:
        with HTTPPeer.legacy_mcp() as old, Internet(answer, tmp_path) as internet, caplog.at_level(logging.INFO):
            for name, value in internet.environment.items():
                monkeypatch.setenv(name, value)
            async with asyncio.timeout(60), no_model() as client:
                await client.add_mcp_server("http", url="https://mcp.example/mcp?which=opaque-value", name="far")
                assert (await client.call_tool("count")).text == "1"
    finally:
        trust_store.cache_clear()
    assert {(asked.host, asked.query) for asked in internet.asked} == {("mcp.example", "which=opaque-value")}
    assert "opaque-value" not in caplog.text


async def test_what_is_packed_strangely_is_refused_behind_a_proxy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: Recorded) -> Answer:
        answered = old._answer(request)
        if request.method == "POST" and request.body["method"] == "tools/call":
            return 200, {**JSON, "content-encoding": "br"}, b"??"
        return answered

    with HTTPPeer.legacy_mcp() as old, HTTPPeer(answer) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server("http", url="http://mcp.example/mcp", name="far")
            with pytest.raises(ServerConnectionError, match="packed as 'br', which nobody asked for"):
                await client.call_tool("count")


async def test_a_proxy_that_is_not_there_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:pass-word@127.0.0.1:1")
    async with asyncio.timeout(60), no_model() as client:
        with pytest.raises(
            ServerConnectionError, match="'far' could not be reached at http://mcp.example/mcp"
        ) as caught:
            await client.add_mcp_server("http", url="http://mcp.example/mcp?which=opaque-value", name="far")
    assert [secret for secret in SECRETS if secret in str(caught.value)] == []


async def test_an_older_server_s_endpoint_is_looked_for_where_a_redirect_led() -> None:
    posted: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    answers = {
        b"GET /mcp?which=1": b"HTTP/1.1 307 Away\r\nlocation: /far/events\r\ncontent-length: 0\r\n\r\n",
        b"GET /far/events": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n\r\n"
        b": hello\r\nevent: endpoint\r\ndata: box?session=2\r\n\r\n",
    }

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := (await reader.read(100_000)).partition(b" HTTP/1.1\r\n")[0]:
            if asked.startswith(b"POST") and not posted.done():
                posted.set_result(asked)
            writer.write(answers.get(asked, b""))
        writer.close()

    async with asyncio.timeout(60), await asyncio.start_server(say, "127.0.0.1", 0) as server, no_model() as client:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp?which=1"
        adding = asyncio.create_task(client.add_mcp_server("sse", url=url, name="older"))
        assert await posted == b"POST /far/box?session=2"
        adding.cancel()
        await asyncio.wait([adding])
        assert adding.cancelled()


@pytest.mark.parametrize("own", ["", "mine=1"])
async def test_cookies_of_a_server_come_back_to_it(own: str) -> None:
    """What balances load finds the machine with the session by them."""

    def answer(request: Recorded) -> Answer:
        if request.method == "POST" and request.body["method"] == "initialize":
            code, headers, body = old._answer(request)  # type: ignore[misc]
            return code, {**headers, "set-cookie": "AT=m7; Path=/; Expires=Wed, 01 Jan 2200 00:00:00 GMT"}, body
        return old._answer(request)

    with HTTPPeer.legacy_mcp() as old, HTTPPeer(answer) as peer:
        async with asyncio.timeout(60), no_model() as client:
            headers = {"Cookie": own} if own else {}
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="old", headers=headers, protocol="legacy")
            assert (await client.call_tool("count")).text == "1"
    first, *later = (request.headers.get("cookie", "") for request in peer.requests)
    assert first == own
    assert set(later) == {own or "AT=m7"}


async def test_an_answer_that_never_begins_is_given_up_after_the_time_for_reading() -> None:
    watch = Watch(on_lost=lambda: None)
    with HTTPPeer(lambda _: "stall") as peer:
        sender = await new_sender(peer.url, HTTPSettings())
        http = RemoteClient(sender, watch, f"{peer.url}/mcp", {}, Waits(connect=20, write=20, read=0.05), None)
        async with asyncio.timeout(60), aclosing(sender):
            with pytest.raises(RpcError, match="no answer within the limit") as caught:
                await http.deliver(b"{}", {})
    assert caught.value.code == CODE_BROKEN  # it may have run
    assert watch.trouble == "no answer within the limit"


async def test_a_header_of_the_users_own_is_sent_once() -> None:
    with HTTPPeer.legacy_mcp() as peer:
        async with asyncio.timeout(60), no_model() as client:
            headers = {"Host": "inner.example", "User-Agent": "mine", "X-Name": "\u00e9"}
            await client.add_mcp_server("http", url=f"{peer.url}/mcp", name="old", headers=headers)
    seen = {(each.headers["host"], each.headers["user-agent"], each.headers["x-name"]) for each in peer.requests}
    assert seen == {("inner.example", "mine", "\u00c3\u00a9")}  # UTF-8, as Latin-1 has it
