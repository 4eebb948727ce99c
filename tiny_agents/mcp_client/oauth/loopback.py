"""Where the browser comes back to at the end of a login: a server on this machine that takes one address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

from tiny_agents.mcp_client.oauth.callback import Denied, Foreign, Granted, page, read_callback

MAX_HEAD_BYTES = 32 * 1024
HEAD_S = 10.0
MAX_OPEN = 20


class PortInUse(Exception):
    """Another program listens at the port that the browser is to come back to."""

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(f"port {port} is in use")


class Loopback:
    """Waits for the browser.

    Attributes:
        redirect_uri: What the browser is to be sent to.
        foreign: Why the last address that came was not taken; empty if none was refused.
    """

    def __init__(self, redirect_uri: str, server: str) -> None:
        self.redirect_uri = redirect_uri
        self.foreign = ""
        self._server = server
        self._path = urlsplit(redirect_uri).path or "/"
        self._state: str | None = None
        self._answer: asyncio.Future[Granted | Denied] = asyncio.get_running_loop().create_future()
        self._open: set[asyncio.Task[None]] = set()

    def expect(self, state: str) -> None:
        """From now on an address that carries `state` is the answer."""
        self._state = state

    async def answer(self) -> Granted | Denied:
        """Wait for it."""
        return await asyncio.shield(self._answer)

    def read(self, address: str) -> Granted | Denied | Foreign:
        """What an address says that was pasted."""
        if self._state is None:
            return Foreign("no login is waiting for it")
        return read_callback(address, self._state)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one request, one page."""
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            if len(self._open) <= MAX_OPEN:
                async with asyncio.timeout(HEAD_S):
                    writer.write(self._response((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0]))
                    await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # whoever that was, the browser comes again
        finally:
            self._open.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _response(self, line: bytes) -> bytes:
        method, _, rest = line.decode("latin-1").partition(" ")
        target = rest.partition(" ")[0]
        if method not in ("GET", "HEAD") or urlsplit(target).path != self._path:
            return _http(404, "Not found.\n", "text/plain")
        answer = self.read(target)
        status, text = page(answer, self._server)
        if isinstance(answer, Foreign):
            self.foreign = answer.problem
        elif method == "GET" and not self._answer.done():
            self._answer.set_result(answer)
        return _http(status, text, "text/html; charset=utf-8")

    async def close(self) -> None:
        """End the connections that are still open; a page that is being sent gets a moment."""
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=1.0)
            for task in late:
                task.cancel()
        self._answer.cancel()


@asynccontextmanager
async def listening(redirect_uri: str, server: str, preferred_port: int | None = None) -> AsyncIterator[Loopback]:
    """Listen where `redirect_uri` says while the block runs; without a port in it, at `preferred_port` or a free one.

    Args:
        server: Name for the page in the browser.

    Raises:
        PortInUse: The port is taken.
    """
    split = urlsplit(redirect_uri)
    bound = _bind(split.hostname or "127.0.0.1", split.port, preferred_port)
    port = bound.getsockname()[1]
    host = f"[{split.hostname}]" if ":" in (split.hostname or "") else split.hostname
    loopback = Loopback(urlunsplit(split._replace(netloc=f"{host}:{port}")), server)
    listener = await asyncio.start_server(loopback.serve, sock=bound, limit=MAX_HEAD_BYTES)
    try:
        yield loopback
    finally:
        listener.close()
        await loopback.close()


def _bind(host: str, port: int | None, preferred: int | None) -> socket.socket:
    """A socket on the loopback, whatever `host` is called; only a port that the user named must be that one."""
    family, address = (socket.AF_INET6, "::1") if ":" in host else (socket.AF_INET, "127.0.0.1")
    ports: list[int] = [port] if port is not None else [*([preferred] if preferred else []), 0]
    for number in ports:
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            _reuse(bound)
            bound.bind((address, number))
        except OSError:
            bound.close()
            continue
        bound.setblocking(False)
        return bound
    raise PortInUse(ports[-1])


def _reuse(bound: socket.socket) -> None:
    """Take a port whose last connections are barely over; on Windows the option means to share it with others."""
    if not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def _http(status: int, text: str, kind: str) -> bytes:
    body = text.encode()
    reason = {200: "OK", 400: "Bad Request", 404: "Not Found"}[status]
    head = (
        f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\r\n"
    )
    return head.encode() + body
