"""`Pool`: connections of one event loop, kept and used again. Direct ones only: proxies are httpx2's own affair."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import Context
from typing import Any

import httpx2
import msgspec

from tiny_agents.inference.http.http1.connection import Connection
from tiny_agents.inference.http.http1.idle import Idle, Origin, is_fresh
from tiny_agents.inference.http.http1.reading import AnswerReader

HAPPY_EYEBALLS_S = 0.25  # RFC 8305, 5: when the next address is tried beside the one before
SMALL_BODY_BYTES = 64 * 1024

_PORTS = {"http": 80, "https": 443}

Headers = list[tuple[bytes, bytes]]


class Place(msgspec.Struct, frozen=True):
    """Where a request goes: the server, how it calls itself, and what is asked for there."""

    origin: Origin
    host: bytes
    target: bytes


class Waits(msgspec.Struct, frozen=True):
    """The limits of a request in seconds; None is none.

    Attributes:
        connect, write, read: Of each single wait.
        head: Of all of them together until the answer's head is there.
    """

    connect: float | None = None
    write: float | None = None
    read: float | None = None
    head: float | None = None


class Answer:
    """An answer whose head is there. Closing it gives the connection back: to be used again, if it was read to its end."""

    def __init__(self, pool: Pool, origin: Origin, connection: Connection, reader: AnswerReader, limit_s: float | None):
        self.status = reader.status
        self.reason = reader.reason
        self.headers: Headers = reader.headers
        self._pool = pool
        self._origin = origin
        self._connection: Connection | None = connection
        self._limit_s = limit_s

    def body(self) -> AsyncIterator[bytes]:
        """The bytes as they arrive. Raises httpx2.ReadTimeout, ReadError, RemoteProtocolError."""
        if self._connection is None:
            raise httpx2.StreamClosed
        return self._connection.body(self._limit_s)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._origin, connection)
            if not connection.is_open:
                await connection.closed()


class Pool:
    """Connections over which requests are sent. Speaks HTTP/1.1, plain and over TLS.

    Args:
        trust: Whom it trusts over TLS.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._idle = Idle[Connection](lambda connection: not connection.is_open)
        self._busy: set[Connection] = set()
        self._is_open = True

    async def send(self, method: str, place: Place, headers: Headers, body: bytes, waits: Waits) -> Answer:
        """Send, and hand over the answer when its head is there.

        Args:
            headers: All of them, with the length of the body.

        Raises:
            httpx2.TransportError: One of its kinds, as httpx2's own transport.
        """
        head = head_of(method, place.target, headers)
        del headers  # thousands of requests may wait for their answers
        until = None if waits.head is None else asyncio.get_running_loop().time() + waits.head
        connection = self._kept(place.origin) or await self._connect(place.origin, waits.connect)
        self._busy.add(connection)
        try:
            connection.begin(method, until)
            for piece in (head + body,) if len(body) <= SMALL_BODY_BYTES else (head, body):
                connection.write(piece)
            await connection.written(waits.write)
            reader = await connection.head(waits.read)
        except BaseException:
            self._busy.discard(connection)
            connection.abort()
            raise
        return Answer(self, place.origin, connection, reader, waits.read)

    async def aclose(self) -> None:
        self._is_open = False
        connections = [*self._busy, *self._idle.clear()]
        self._busy.clear()
        for connection in connections:
            connection.abort()
        for connection in connections:
            await connection.closed()

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """After a request: keep the connection if it can be used again."""
        self._busy.discard(connection)
        if connection.finish() and not (self._is_open and self._idle.put(origin, connection)):
            connection.abort()

    def _kept(self, origin: Origin) -> Connection | None:
        """The latest connection that can be used again."""
        now = asyncio.get_running_loop().time()
        while (connection := self._idle.pop(origin)) is not None:
            if connection.is_open and is_fresh(connection, now) and connection.is_quiet:
                return connection
            connection.abort()
        return None

    async def _connect(self, origin: Origin, limit_s: float | None) -> Connection:
        scheme, host, port = origin
        loop = asyncio.get_running_loop()
        for connection in self._idle.old(loop.time()):
            connection.abort()
        how: dict[str, Any] = {}
        if isinstance(loop, asyncio.BaseEventLoop) and _has_addresses(host):  # uvloop tries one after the other
            how["happy_eyeballs_delay"] = HAPPY_EYEBALLS_S
        if scheme == "https":
            self._trust.set_alpn_protocols(["http/1.1"])
            how |= {"ssl": self._trust, "server_hostname": host, "ssl_handshake_timeout": limit_s}
        # Not in the context of the first request: asyncio keeps that for as long as it reads the connection.
        opening = asyncio.create_task(_opened(loop, host, port, how), context=Context())
        try:
            async with asyncio.timeout(limit_s):
                try:
                    return await opening
                except asyncio.CancelledError:
                    opening.add_done_callback(_given_up)
                    raise
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection within {limit_s:g} s") from error
        except (OSError, UnicodeError) as error:  # one is ssl.SSLError; a name that can't be one is the other
            raise httpx2.ConnectError(str(error) or type(error).__name__) from error


async def _opened(loop: asyncio.AbstractEventLoop, host: str, port: int, how: Mapping[str, Any]) -> Connection:
    _, connection = await loop.create_connection(lambda: Connection(loop), host, port, **how)
    return connection


def _given_up(opening: asyncio.Task[Connection]) -> None:
    """Close a connection that was open just when nobody waited for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().abort()


def _has_addresses(host: str) -> bool:
    """Whether it is a name, which may stand for several addresses."""
    return ":" not in host and not host.rpartition(".")[2].isdigit()


def place_of(url: httpx2.URL) -> Place:
    """Raises httpx2.UnsupportedProtocol."""
    if url.scheme not in _PORTS or not url.host:
        raise httpx2.UnsupportedProtocol(
            f"{url.scheme or 'no scheme'!r} is neither http:// nor https://, or has no host"
        )
    origin = url.scheme, url.raw_host.decode("ascii"), url.port or _PORTS[url.scheme]
    return Place(origin, url.netloc, url.raw_path)


def head_of(method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A request's head as bytes. Raises httpx2.LocalProtocolError where a line would become two."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target)]
    lines += [b"%s: %s" % field for field in headers]
    head = b"\r\n".join(lines)
    if head.count(b"\n") >= len(lines) or head.count(b"\r") >= len(lines) or b"\0" in head or lines[0].count(b" ") != 2:
        wrong = (name for name, value in headers if any(mark in name + value for mark in b"\r\n\0"))
        where = next((f"header {name.decode('ascii', 'replace')!r}" for name in wrong), "address")
        raise httpx2.LocalProtocolError(f"the {where} of the request holds what can't be sent")
    return head + b"\r\n\r\n"
