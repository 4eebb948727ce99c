"""`BlockingPool`: what `Pool` is, for threads."""

from __future__ import annotations

import math
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx2

from tiny_agents.inference.http.http1.idle import Idle, Origin, has_arrived, is_fresh
from tiny_agents.inference.http.http1.pool import Headers, Place, Waits, head_of
from tiny_agents.inference.http.http1.reading import AnswerReader, BadAnswer

READ_BYTES = 64 * 1024


class BlockingConnection:
    """A connection to one host, of one thread at a time. Raises httpx2's errors."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._reader = AnswerReader("")
        self.idle_since = 0.0

    @property
    def is_quiet(self) -> bool:
        """Whether it can take a request: its server neither closed it nor said something unasked."""
        try:
            return not has_arrived(self._socket.fileno())
        except (OSError, ValueError):
            return False  # it is closed

    def request(self, method: str, data: bytes, waits: Waits) -> AnswerReader:
        """Send, and read until the answer's head is there."""
        until = math.inf if waits.head is None else time.monotonic() + waits.head
        self._reader = AnswerReader(method)
        self._write(data, waits.write, until)
        while not self._reader.has_head:
            self._read(waits.read, until)
        return self._reader

    def body(self, limit_s: float | None) -> Iterator[bytes]:
        """The answer's body, as much at a time as has arrived."""
        reader = self._reader
        while True:
            if reader.unread and (data := reader.take()):
                yield data
            elif reader.complete:
                return
            else:
                self._read(limit_s, math.inf)

    @property
    def is_reusable(self) -> bool:
        return self._reader.complete and self._reader.reusable

    def close(self) -> None:
        with suppress(OSError):  # the other side was faster
            self._socket.shutdown(socket.SHUT_RDWR)  # a thread that waits for it is told
        self._socket.close()

    def _write(self, data: bytes, limit_s: float | None, until: float) -> None:
        left = memoryview(data)
        try:
            while left:
                self._wait_at_most(limit_s, until)
                left = left[self._socket.send(left) :]
        except TimeoutError as error:
            raise httpx2.WriteTimeout("the server doesn't read what is sent to it") from error
        except OSError:
            return  # it may have answered before it had read everything

    def _read(self, limit_s: float | None, until: float) -> None:
        try:
            self._wait_at_most(limit_s, until)
            data = self._socket.recv(READ_BYTES)
        except TimeoutError as error:
            raise httpx2.ReadTimeout("nothing arrived within the limit") from error
        except OSError as error:
            raise httpx2.ReadError(str(error) or type(error).__name__) from error
        try:
            if data:
                self._reader.feed(data)
            else:
                self._reader.end()
        except BadAnswer as error:
            raise httpx2.RemoteProtocolError(str(error)) from error

    def _wait_at_most(self, limit_s: float | None, until: float) -> None:
        left_s = min(math.inf if limit_s is None else limit_s, until - time.monotonic())
        if left_s <= 0:
            raise TimeoutError
        self._socket.settimeout(None if left_s == math.inf else left_s)


class BlockingAnswer:
    """`Answer`, for threads."""

    def __init__(
        self, pool: BlockingPool, origin: Origin, connection: BlockingConnection, reader: AnswerReader, waits: Waits
    ) -> None:
        self.status = reader.status
        self.reason = reader.reason
        self.headers: Headers = reader.headers
        self._pool = pool
        self._origin = origin
        self._connection: BlockingConnection | None = connection
        self._waits = waits

    def body(self) -> Iterator[bytes]:
        """The bytes as they arrive. Raises httpx2.ReadTimeout, ReadError, RemoteProtocolError."""
        if self._connection is None:
            raise httpx2.StreamClosed
        return self._connection.body(self._waits.read)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._origin, connection)


class BlockingPool:
    """Connections over which threads send. Speaks HTTP/1.1, plain and over TLS; direct connections only.

    Args:
        trust: Whom it trusts over TLS.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self._trust = trust
        self._idle = Idle[BlockingConnection]()
        self._busy: set[BlockingConnection] = set()
        self._lock = threading.Lock()
        self._is_open = True

    def send(self, method: str, place: Place, headers: Headers, body: bytes, waits: Waits) -> BlockingAnswer:
        """Send, and hand over the answer when its head is there.

        Raises:
            httpx2.TransportError: One of its kinds, as httpx2's own transport.
        """
        data = head_of(method, place.target, headers) + body
        connection = self._kept(place.origin) or self._connect(place.origin, waits.connect)
        with self._lock:
            self._busy.add(connection)
        try:
            reader = connection.request(method, data, waits)
        except BaseException:
            self._give_up(connection)
            raise
        return BlockingAnswer(self, place.origin, connection, reader, waits)

    def close(self) -> None:
        """Close all connections; whoever reads from one gets an error."""
        with self._lock:
            self._is_open = False
            connections = [*self._busy, *self._idle.clear()]
            self._busy.clear()
        for connection in connections:
            connection.close()

    def give_back(self, origin: Origin, connection: BlockingConnection) -> None:
        """After a request: keep the connection if it can be used again."""
        if not connection.is_reusable:
            self._give_up(connection)
            return
        connection.idle_since = time.monotonic()
        with self._lock:
            self._busy.discard(connection)
            if self._is_open and self._idle.put(origin, connection):
                return
        connection.close()

    def _give_up(self, connection: BlockingConnection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def _kept(self, origin: Origin) -> BlockingConnection | None:
        """The latest connection that can be used again."""
        now = time.monotonic()
        while True:
            with self._lock:
                connection = self._idle.pop(origin)
            if connection is None or (is_fresh(connection, now) and connection.is_quiet):
                return connection
            connection.close()

    def _connect(self, origin: Origin, limit_s: float | None) -> BlockingConnection:
        scheme, host, port = origin
        with self._lock:
            old = self._idle.old(time.monotonic())
        for connection in old:
            connection.close()
        try:
            sock = socket.create_connection((host, port), limit_s)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if scheme == "https":
                    self._trust.set_alpn_protocols(["http/1.1"])
                    sock = self._trust.wrap_socket(sock, server_hostname=host)
            except BaseException:
                sock.close()
                raise
        except TimeoutError as error:
            raise httpx2.ConnectTimeout(f"no connection within {limit_s:g} s") from error
        except (OSError, UnicodeError) as error:  # one is ssl.SSLError; a name that can't be one is the other
            raise httpx2.ConnectError(str(error) or type(error).__name__) from error
        return BlockingConnection(sock)
