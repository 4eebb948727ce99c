"""`Transport`: how httpx2 sends over connections of ours. Direct ones only: proxies are httpx2's own affair."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

import httpx2

from tiny_agents.inference.http1.connection import Connection

KEEP_S = 30.0
"""How long a connection is kept that nobody uses. Servers close theirs after 5 to 75 s, which is noticed at once."""

MAX_KEPT = 100
HAPPY_EYEBALLS_S = 0.25  # RFC 8305, 5: when the next address is tried beside the one before
SMALL_BODY_BYTES = 64 * 1024

_PORTS = {"http": 80, "https": 443}

Origin = tuple[str, str, int]


class Transport(httpx2.AsyncBaseTransport):
    """Connections of one event loop, kept and used again. Speaks HTTP/1.1, plain and over TLS.

    Args:
        trust: Whom it trusts over TLS.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._busy: set[Connection] = set()
        self._is_open = True

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send, and hand over the answer when its head is there.

        Raises:
            httpx2.TransportError: One of its kinds, as httpx2's own transport.
        """
        head = head_of(request)
        limits: dict[str, float | None] = request.extensions.get("timeout", {})
        origin = origin_of(request.url)
        connection = self._kept(origin) or await self._connect(origin, limits.get("connect"))
        self._busy.add(connection)
        try:
            connection.begin(request.method)
            await _send(connection, request, head, limits.get("write"))
            answer = await connection.head(limits.get("read"))
        except BaseException:
            self._give_up(connection)
            raise
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(self, origin, connection, limits.get("read")),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": answer.reason},
        )

    async def aclose(self) -> None:
        self._is_open = False
        connections = [*self._busy, *(one for kept in self._idle.values() for one in kept)]
        self._busy.clear()
        self._idle.clear()
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    # ---- connections

    def _kept(self, origin: Origin) -> Connection | None:
        """The latest connection that can be used again."""
        kept = self._idle.get(origin)
        oldest = asyncio.get_running_loop().time() - KEEP_S
        while kept:
            connection = kept.pop()
            if connection.is_open and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    def _drop_old(self) -> None:
        """Close what nobody has used for long, of whichever host."""
        oldest = asyncio.get_running_loop().time() - KEEP_S
        for origin, kept in list(self._idle.items()):
            for connection in [one for one in kept if not one.is_open or one.idle_since <= oldest]:
                connection.abort()
                kept.remove(connection)
            if not kept:
                del self._idle[origin]

    async def _connect(self, origin: Origin, limit_s: float | None) -> Connection:
        self._drop_old()
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        how: dict[str, Any] = {}
        if isinstance(loop, asyncio.BaseEventLoop) and _has_addresses(host):  # uvloop tries one after the other
            how["happy_eyeballs_delay"] = HAPPY_EYEBALLS_S
        if scheme == "https":
            self._trust.set_alpn_protocols(["http/1.1"])
            how |= {"ssl": self._trust, "server_hostname": host, "ssl_handshake_timeout": limit_s}
        try:
            async with asyncio.timeout(limit_s):
                _, connection = await loop.create_connection(lambda: Connection(loop), host, port, **how)
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection within {limit_s:g} s") from error
        except (OSError, UnicodeError) as error:  # one is ssl.SSLError; a name that can't be one is the other
            raise httpx2.ConnectError(str(error) or type(error).__name__) from error
        return connection

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """After a request: keep the connection if it can be used again."""
        self._busy.discard(connection)
        if not connection.finish():
            return
        if not self._is_open or sum(map(len, self._idle.values())) >= MAX_KEPT:
            connection.abort()
            return
        self._idle[origin].append(connection)

    def _give_up(self, connection: Connection) -> None:
        self._busy.discard(connection)
        connection.abort()


class _Body(httpx2.AsyncByteStream):
    """The body of an answer; closing it gives the connection back."""

    def __init__(self, transport: Transport, origin: Origin, connection: Connection, limit_s: float | None) -> None:
        self._transport = transport
        self._origin = origin
        self._connection: Connection | None = connection
        self._limit_s = limit_s

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._connection is None:
            raise httpx2.StreamClosed
        return self._connection.body(self._limit_s)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._transport.give_back(self._origin, connection)
            if not connection.is_open:
                await connection.closed()


def origin_of(url: httpx2.URL) -> Origin:
    """Raises httpx2.UnsupportedProtocol."""
    if url.scheme not in _PORTS or not url.host:
        raise httpx2.UnsupportedProtocol(
            f"{url.scheme or 'no scheme'!r} is neither http:// nor https://, or has no host"
        )
    return url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]


def _has_addresses(host: str) -> bool:
    """Whether it is a name, which may stand for several addresses."""
    return ":" not in host and not host.rpartition(".")[2].isdigit()


def head_of(request: httpx2.Request) -> bytes:
    """A request's head as bytes. Raises httpx2.LocalProtocolError where a line would become two."""
    target: bytes = request.extensions.get("target", request.url.raw_path)
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%s: %s" % field for field in request.headers.raw]
    head = b"\r\n".join(lines)
    if head.count(b"\n") >= len(lines) or head.count(b"\r") >= len(lines) or b"\0" in head or lines[0].count(b" ") != 2:
        wrong = (name for name, value in request.headers.raw if any(mark in name + value for mark in b"\r\n\0"))
        where = next((f"header {name.decode('ascii', 'replace')!r}" for name in wrong), "address")
        raise httpx2.LocalProtocolError(f"the {where} of the request holds what can't be sent")
    return head + b"\r\n\r\n"


async def _send(connection: Connection, request: httpx2.Request, head: bytes, limit_s: float | None) -> None:
    chunked = b"chunked" in request.headers.get("transfer-encoding", "").encode()
    assert isinstance(request.stream, httpx2.AsyncByteStream)
    pending = head
    async for part in request.stream:
        if chunked:
            part = b"%x\r\n%s\r\n" % (len(part), part) if part else b""
        if len(part) <= SMALL_BODY_BYTES:
            pending += part  # one system call for all of a small request
            continue
        for piece in (pending, part):
            connection.write(piece)
        pending = b""
        await connection.written(limit_s)
    if chunked:
        pending += b"0\r\n\r\n"
    connection.write(pending)
    await connection.written(limit_s)
