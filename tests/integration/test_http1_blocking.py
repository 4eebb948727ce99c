"""Our connections of HTTP/1.1 for threads, against servers that say what each test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.support.internet import Authority
from tiny_agents.inference.http.http1 import idle
from tiny_agents.inference.http.http1.blocking import BlockingPool
from tiny_agents.inference.http.http1.pool import Waits, place_of

pytestmark = pytest.mark.integration

OK = b"HTTP/1.1 200 OK\r\n"
BRIEF = OK + b"content-length: 2\r\n\r\nab"
WAITS = Waits(20.0, 20.0, 20.0, 30.0)
Say = Callable[[socket.socket], None]


class Server:
    """Hands each connection to `say`, in a thread of its own; its end is an end for the client too."""

    def __init__(self, say: Say, tls: ssl.SSLContext | None) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = (
            f"http{'s' if tls else ''}://{'localhost' if tls else '127.0.0.1'}:{self._listening.getsockname()[1]}/"
        )
        self.connections = 0
        self.left = threading.Event()  # a client closed its connection
        self._say = say
        self._tls = tls
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            self._say(connection)
        except (OSError, EOFError):
            self.left.set()
        finally:
            connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


@contextmanager
def serving(say: Say, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(say, tls)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def pool() -> Iterator[BlockingPool]:
    pool = BlockingPool(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    yield pool
    pool.close()


def asked(connection: socket.socket) -> bytes:
    """The head of one request. Raises EOFError at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (data := connection.recv(1)):
            raise EOFError
        head += data
    return head


def brief(connection: socket.socket) -> None:
    while asked(connection):
        connection.sendall(BRIEF)


def said(pool: BlockingPool, server: Server, waits: Waits = WAITS, body: bytes = b"") -> bytes:
    """The whole body of the answer."""
    place = place_of(httpx2.URL(server.url))
    answer = pool.send("GET", place, [(b"host", place.host)], body, waits)
    try:
        return b"".join(answer.body())
    finally:
        answer.close()


def test_requests_one_after_the_other_go_over_one_connection(pool: BlockingPool) -> None:
    with serving(brief) as server:
        assert [said(pool, server) for _ in range(5)] == [b"ab"] * 5
        assert server.connections == 1


def test_threads_at_the_same_time_have_connections_of_their_own(pool: BlockingPool) -> None:
    all_here = threading.Barrier(3)

    def say(connection: socket.socket) -> None:
        asked(connection)
        all_here.wait(20)
        connection.sendall(BRIEF)
        asked(connection)

    answers: list[bytes] = []
    with serving(say) as server:
        threads = [threading.Thread(target=lambda: answers.append(said(pool, server))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert (answers, server.connections) == ([b"ab"] * 3, 3)


@pytest.mark.parametrize("surplus", [b"", b"x", OK + b"content-length: 4\r\n\r\nevil"])
def test_a_connection_that_was_closed_or_said_something_unasked_is_not_used_again(
    pool: BlockingPool, surplus: bytes
) -> None:
    done = threading.Semaphore(0)

    def say(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(BRIEF)
        connection.sendall(surplus)
        if not surplus:
            connection.shutdown(socket.SHUT_RDWR)
        done.release()
        connection.recv(1)

    with serving(say) as server:
        for number in range(1, 4):
            assert said(pool, server) == b"ab"
            assert done.acquire(timeout=20)
            assert server.connections == number


def test_an_answer_that_is_given_up_takes_its_connection_with_it(pool: BlockingPool) -> None:
    def endless(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(OK + b"transfer-encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"1\r\na\r\n")

    with serving(endless) as server:
        place = place_of(httpx2.URL(server.url))
        answer = pool.send("GET", place, [], b"", WAITS)
        assert next(answer.body())
        answer.close()
        assert server.left.wait(20)
        with pytest.raises(httpx2.StreamClosed):
            answer.body()


def test_connections_are_closed_with_the_pool_and_who_reads_is_told(pool: BlockingPool) -> None:
    reading = threading.Event()

    def silent(connection: socket.socket) -> None:
        asked(connection)
        reading.set()
        asked(connection)

    errors: list[Exception] = []

    def ask() -> None:
        try:
            said(pool, server)
        except httpx2.TransportError as error:
            errors.append(error)

    with serving(silent) as server:
        thread = threading.Thread(target=ask)
        thread.start()
        assert reading.wait(20)
        pool.close()
        thread.join(20)
        assert len(errors) == 1
        assert server.left.wait(20)


def test_a_server_that_never_answers_is_not_waited_for(pool: BlockingPool) -> None:
    def silent(connection: socket.socket) -> None:
        asked(connection)
        asked(connection)

    with serving(silent) as server:
        with pytest.raises(httpx2.ReadTimeout):
            said(pool, server, Waits(20.0, 20.0, 0.05, 30.0))
        assert server.left.wait(20)


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(pool: BlockingPool) -> None:
    def trickle(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(OK)
        while True:
            connection.sendall(b"x: y\r\n")
            threading.Event().wait(0.02)

    with serving(trickle) as server, pytest.raises(httpx2.ReadTimeout):
        said(pool, server, Waits(20.0, 20.0, 10.0, 0.3))


def test_a_server_that_does_not_read_is_not_waited_for(pool: BlockingPool) -> None:
    hold = threading.Event()

    def deaf(connection: socket.socket) -> None:
        asked(connection)
        hold.wait(30)

    with serving(deaf) as server, pytest.raises(httpx2.WriteTimeout):
        said(pool, server, Waits(20.0, 0.1, 20.0, 30.0), b"x" * 50_000_000)
    hold.set()


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-x\r\n", OK + b"content-length: 5\r\n\r\nab"])
def test_what_is_no_answer_or_not_all_of_one_is_told(pool: BlockingPool, answer: bytes) -> None:
    def say(connection: socket.socket) -> None:
        asked(connection)
        connection.sendall(answer)

    with serving(say) as server, pytest.raises(httpx2.RemoteProtocolError):
        said(pool, server)


def test_nobody_there_is_told_as_that(pool: BlockingPool) -> None:
    with serving(brief) as server:
        pass
    with pytest.raises(httpx2.ConnectError, match="refused"):
        said(pool, server)


def test_connections_that_nobody_used_for_long_are_closed_whichever_their_host(
    pool: BlockingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(brief) as one, serving(brief) as other:
        assert said(pool, one) == b"ab"
        monkeypatch.setattr(idle, "KEEP_S", 0.0)
        monkeypatch.setattr(idle, "SWEEP_S", 0.0)
        assert said(pool, other) == b"ab"
        assert one.left.wait(20)


def test_over_tls_a_trusted_server_is_spoken_to_and_another_one_gets_nothing(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    contexts = {}
    for host in ("localhost", "elsewhere"):
        contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        contexts[host].load_cert_chain(authority.issue(host))
    pool = BlockingPool(ssl.create_default_context(cafile=authority.certificate))
    try:
        with serving(brief, contexts["localhost"]) as server:
            assert [said(pool, server) for _ in range(3)] == [b"ab"] * 3
        with (
            serving(brief, contexts["elsewhere"]) as server,
            pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            said(pool, server)
    finally:
        pool.close()
