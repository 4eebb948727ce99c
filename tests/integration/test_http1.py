"""Our connections of HTTP/1.1, against servers that say what each test wants."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import httpx2
import pytest

from tests.support.internet import Authority
from tiny_agents.inference.http.http1 import idle
from tiny_agents.inference.http.http1.connection import MAX_UNREAD_BYTES, Connection
from tiny_agents.inference.http.http1.pool import Answer, Headers, Place, Pool, Waits, place_of

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture(params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    if request.param:
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param}


Say = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
BRIEF = OK + b"content-length: 2\r\n\r\nab"
LIMITS = {"connect": 20.0, "read": 20.0, "write": 20.0}


class Server:
    """Hands each connection to `say`; its end is an end for the client too."""

    def __init__(self, say: Say) -> None:
        self.url = ""
        self.connections = 0
        self.left = asyncio.Event()  # a client closed its connection
        self._say = say

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._say(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@asynccontextmanager
async def serving(say: Say, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(say)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls, limit=2**20) as listening:
        port = listening.sockets[0].getsockname()[1]
        server.url = f"https://localhost:{port}/" if tls else f"http://127.0.0.1:{port}/"
        yield server


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with asyncio.timeout(60), aclosing(Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))) as pool:
        yield pool


async def asked(reader: asyncio.StreamReader) -> bytes:
    """One request, whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(length[0].split(b":")[1])) if length else b"")


async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await asked(reader):
        writer.write(BRIEF)


class Asked(NamedTuple):
    """What `Pool.send` takes."""

    method: str
    place: Place
    headers: Headers
    body: bytes
    waits: Waits


def request(server: Server, content: bytes = b"", **limits: float) -> Asked:
    return request_for(server.url, content, **limits)


def request_for(url: str, content: bytes = b"", **limits: float) -> Asked:
    place = place_of(httpx2.URL(url))
    headers = [(b"host", place.host), (b"content-length", b"%d" % len(content))]
    return Asked("POST" if content else "GET", place, headers, content, Waits(**(LIMITS | limits)))


async def sent(pool: Pool, asked: Asked) -> Answer:
    return await pool.send(*asked)


async def said(pool: Pool, asked: Asked) -> bytes:
    """The whole body of the answer."""
    answer = await sent(pool, asked)
    try:
        return b"".join([data async for data in answer.body()])
    finally:
        await answer.aclose()


# ---- connections are kept


async def test_requests_one_after_the_other_go_over_one_connection(pool: Pool) -> None:
    async with serving(brief) as server:
        assert [await said(pool, request(server, b"x")) for _ in range(5)] == [b"ab"] * 5
        assert server.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own(pool: Pool) -> None:
    all_here = asyncio.Barrier(3)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = (await asked(reader)).rpartition(b"\r\n\r\n")[2]
        await all_here.wait()
        writer.write(OK + b"content-length: 1\r\n\r\n" + body)
        await reader.read()

    async with serving(say) as server:
        answers = await asyncio.gather(*(said(pool, request(server, letter)) for letter in (b"a", b"b", b"c")))
        assert (answers, server.connections) == ([b"a", b"b", b"c"], 3)


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used_again(pool: Pool) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(BRIEF)

    async with serving(once) as server:
        for number in range(1, 4):
            assert await said(pool, request(server)) == b"ab"
            assert server.connections == number
            (connection,) = set(pool._idle) or {None}
            if connection is not None:
                await connection.closed()


async def test_a_connection_that_was_closed_while_the_event_loop_was_busy_is_not_used_again(
    pool: Pool,
) -> None:
    """The loop hasn't seen its end yet: a request over it would be lost, and nobody knows whether it was carried out."""

    def answer_twice() -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            connection.recv(10_000)
            connection.sendall(BRIEF)
            answered.wait(30)
            connection.close()
            closed.set()

    answered, closed = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=answer_twice)
        serving.start()
        server = Server(lambda *_: asyncio.sleep(0))
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        assert await said(pool, request(server)) == b"ab"
        answered.set()
        closed.wait(30)  # this is what keeps the loop busy
        assert await said(pool, request(server)) == b"ab"
        serving.join(30)


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", b"x"])
async def test_what_a_server_says_unasked_is_no_answer_to_the_next_request(pool: Pool, surplus: bytes) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(BRIEF)
        await writer.drain()
        writer.write(surplus)
        await reader.read()

    async with serving(say) as server:
        for _ in range(3):
            assert await said(pool, request(server)) == b"ab"
            for connection in list(pool._idle):
                await connection.closed()  # it is closed as soon as the surplus comes
        assert server.connections == 3


async def test_connections_that_nobody_used_for_long_are_closed_whichever_their_host(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(brief) as one, serving(brief) as other:
        assert await said(pool, request(one)) == b"ab"
        monkeypatch.setattr(idle, "KEEP_S", 0.0)
        monkeypatch.setattr(idle, "SWEEP_S", 0.0)
        assert await said(pool, request(other)) == b"ab"
        await one.left.wait()
        assert await said(pool, request(other)) == b"ab"
        assert other.connections == 2


async def test_an_answer_that_is_given_up_takes_its_connection_with_it(pool: Pool) -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\na\r\n")
            await writer.drain()

    async with serving(endless) as server:
        answer = await sent(pool, request(server))
        async for _ in answer.body():
            break
        await answer.aclose()
        await server.left.wait()
        assert not list(pool._idle)


async def test_connections_are_closed_with_the_pool() -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(BRIEF)
        await asked(reader)

    async with serving(say) as server, asyncio.timeout(60):
        pool = Pool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        await said(pool, request(server))
        await pool.aclose()
        await server.left.wait()


async def test_nothing_of_an_answer_stays_in_memory_when_it_is_over(pool: Pool) -> None:
    async with serving(brief) as server:
        answer = await sent(pool, request(server))
        assert [data async for data in answer.body()] == [b"ab"]
        await answer.aclose()
        seen = weakref.ref(answer)
        gc.disable()
        try:
            del answer
            assert seen() is None, "it waits for the collector"
        finally:
            gc.enable()


# ---- limits


async def test_a_server_that_never_answers_is_not_waited_for(pool: Pool) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asked(reader)
        await asked(reader)

    async with serving(silent) as server:
        with pytest.raises(httpx2.ReadTimeout):
            await sent(pool, request(server, read=0.05))
        await server.left.wait()


async def test_a_limit_holds_for_each_wait_and_not_for_all_of_them(pool: Pool) -> None:
    took = asyncio.Semaphore(0)

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(OK + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            writer.write(b"1\r\na\r\n")
            await took.acquire()
        await reader.read()

    async with serving(say) as server:
        answer = await sent(pool, request(server, read=1.0))
        got = 0
        with pytest.raises(httpx2.ReadTimeout):
            async for data in answer.body():
                got += len(data)
                took.release()
        assert got == 3
        await answer.aclose()


async def test_a_server_that_does_not_read_is_not_waited_for(pool: Pool) -> None:
    hold = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await hold.wait()

    async with serving(deaf) as server:
        with pytest.raises(httpx2.WriteTimeout):
            await sent(pool, request(server, b"x" * 50_000_000, write=0.1))
        hold.set()


async def test_an_answer_that_comes_before_the_request_is_through_is_read(pool: Pool) -> None:
    async def too_large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()

    async with serving(too_large) as server:
        answer = await sent(pool, request(server, b"x" * 50_000_000))
        assert answer.status == 413
        await answer.aclose()


async def test_what_nobody_reads_fills_no_memory(pool: Pool) -> None:
    written = 0
    stuck = asyncio.Event()

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await asked(reader)
        size = 200_000_000
        writer.write(OK + b"content-length: %d\r\n\r\n" % size)
        piece = b"x" * 100_000
        while written < size:
            writer.write(piece)
            written += len(piece)
            try:
                async with asyncio.timeout(0.5):
                    await writer.drain()
            except TimeoutError:
                stuck.set()
                await writer.drain()

    async with serving(flood) as server:
        answer = await sent(pool, request(server))
        await stuck.wait()  # the buffers of the system and ours are full
        (connection,) = pool._busy
        assert connection._reader is not None
        assert connection._reader.unread <= MAX_UNREAD_BYTES + 256 * 1024  # one read more
        total = 0
        async for data in answer.body():
            total += len(data)
        assert total == 200_000_000
        await answer.aclose()


async def test_a_request_that_is_cancelled_ends_at_once_and_takes_its_connection_with_it(pool: Pool) -> None:
    here = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asked(reader)
        here.set()
        await asked(reader)

    async with serving(silent) as server, anyio.create_task_group() as tasks:
        tasks.start_soon(said, pool, request(server))
        await here.wait()
        tasks.cancel_scope.cancel()
    await server.left.wait()
    assert not pool._busy


async def test_a_connection_that_is_open_just_when_its_request_is_cancelled_is_closed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = asyncio.create_task

    def unlucky(coroutine: Coroutine[Any, Any, Connection], **options: Any) -> asyncio.Task[Connection]:
        opening = begin(coroutine, **options)
        opening.add_done_callback(lambda _: sending.cancel())  # before whoever waits for it hears of it
        return opening

    async def listens(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await asked(reader)

    async with serving(listens) as server:
        sending = begin(said(pool, request(server)))
        with monkeypatch.context() as patch:
            patch.setattr(asyncio, "create_task", unlucky)
            with pytest.raises(asyncio.CancelledError):
                await sending
        await server.left.wait()
        assert server.connections == 1


# ---- what breaks


async def test_nobody_there_is_told_as_that(pool: Pool) -> None:
    async with serving(brief) as server:
        url = server.url
    with pytest.raises(httpx2.ConnectError, match="refused|failed"):
        await sent(pool, request_for(url))


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid"])
async def test_a_name_that_nobody_has_is_told_as_that(pool: Pool, host: str) -> None:
    with pytest.raises(httpx2.ConnectError):
        await sent(pool, request_for(f"http://{host}/"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", httpx2.RemoteProtocolError),
        (b"SSH-2.0-x\r\n", httpx2.RemoteProtocolError),
        (OK + b"content-length: 5\r\n\r\nab", httpx2.RemoteProtocolError),
    ],
)
async def test_what_is_no_answer_or_not_all_of_one_is_told(pool: Pool, answer: bytes, error: type[Exception]) -> None:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(answer)

    async with serving(say) as server:
        with pytest.raises(error):
            await said(pool, request(server))
        assert not pool._busy


async def test_a_connection_that_is_reset_in_the_middle_is_told_after_what_had_come(pool: Pool) -> None:
    took = asyncio.Event()

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(OK + b"content-length: 5\r\n\r\nab")
        await took.wait()
        writer.transport.abort()

    async with serving(say) as server:
        answer = await sent(pool, request(server))
        got = b""
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            async for data in answer.body():
                got += data
                took.set()
        assert got == b"ab"
        await answer.aclose()


# ---- TLS


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def context_of(authority: Authority, host: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue(host))
    return context


async def test_over_tls_a_trusted_server_is_spoken_to_and_its_connection_kept(authority: Authority) -> None:
    trust = ssl.create_default_context(cafile=authority.certificate)
    async with asyncio.timeout(60), serving(brief, context_of(authority, "localhost")) as server:
        async with aclosing(Pool(trust)) as pool:
            assert [await said(pool, request(server, b"x")) for _ in range(3)] == [b"ab"] * 3
            assert server.connections == 1
        await server.left.wait()


@pytest.mark.parametrize("trusted", [True, False])
async def test_over_tls_another_server_gets_nothing(authority: Authority, trusted: bool) -> None:
    heard = b""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.read(1)

    trust = ssl.create_default_context(cafile=authority.certificate if trusted else None)
    host = "elsewhere" if trusted else "localhost"
    async with (
        asyncio.timeout(60),
        serving(listen, context_of(authority, host)) as server,
        aclosing(Pool(trust)) as pool,
    ):
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await sent(pool, request(server))
    assert heard == b""


async def test_a_handshake_that_never_ends_is_not_waited_for(pool: Pool) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        await reader.read(1)

    async with serving(silent) as server:
        url = server.url.replace("http:", "https:")
        with pytest.raises(httpx2.ConnectTimeout):
            await sent(pool, request_for(url, connect=0.1))


def test_limits_are_as_documented() -> None:
    assert (idle.KEEP_S, idle.MAX_KEPT) == (30.0, 1_000)
