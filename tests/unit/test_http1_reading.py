"""Bytes of a connection -> one answer, and requests -> bytes."""

from __future__ import annotations

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.inference.http.http1.pool import Place, head_of, place_of
from tiny_agents.inference.http.http1.reading import MAX_HEAD_BYTES, AnswerReader, BadAnswer

OK = b"HTTP/1.1 200 OK\r\n"


def read(*pieces: bytes, method: str = "GET") -> AnswerReader:
    reader = AnswerReader(method)
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize(
    ("sent", "body", "reusable"),
    [
        (OK + b"content-length: 2\r\n\r\nab", b"ab", True),
        (OK + b"content-length: 0\r\n\r\n", b"", True),
        (OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc", True),
        (OK + b"transfer-encoding: chunked\r\n\r\n1;x=y\r\na\r\n0\r\ntrailer: 1\r\n\r\n", b"a", True),
        (OK + b"transfer-encoding: chunked\r\n\r\n0001  \r\na\r\n000\r\n\r\n", b"a", True),
        (OK + b"Transfer-Encoding: Chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a", True),
        (OK + b"connection: close\r\ncontent-length: 1\r\n\r\na", b"a", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na", b"a", False),
        (b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 1\r\n\r\na", b"a", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b"", True),
        (b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na", b"a", True),
        (b"HTTP/1.1 200 OK\ncontent-length: 1\n\na", b"a", True),
        (OK + b"x: one\r\n two\r\ncontent-length: 1\r\n\r\na", b"a", True),
        (OK + b"content-length: 1\r\ncontent-length: 1\r\n\r\na", b"a", True),
        (OK + b"Content-Length: 1, 1\r\nx: y\r\n\r\na", b"a", True),
    ],
)
def test_an_answer_is_read_in_whatever_pieces_it_comes(sent: bytes, body: bytes, reusable: bool) -> None:
    every_split = [[sent], [sent[i : i + 1] for i in range(len(sent))]]
    every_split += [[sent[:i], sent[i:]] for i in range(1, len(sent))]
    for pieces in every_split:
        reader = AnswerReader("GET")
        said = b""
        for piece in pieces:
            assert not reader.complete
            reader.feed(piece)
            said += reader.take()
        assert (reader.complete, said, reader.reusable) == (True, body, reusable), pieces


def test_the_head_is_there_before_the_body() -> None:
    reader = read(b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nx: \xc3\xa9\r\ncontent-length: 5\r\n\r\n")
    assert (reader.has_head, reader.complete) == (True, False)
    assert (reader.status, reader.reason) == (429, b"Too Many")
    assert reader.headers[:2] == [(b"Retry-After", b"3"), (b"x", b"\xc3\xa9")]


def test_interim_answers_are_skipped() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    reader = read(b"HTTP/1.1 100 Continue\r\n\r\n" + early + OK + b"content-length: 1\r\n\r\na")
    assert (reader.status, reader.reason, reader.headers) == (200, b"OK", [(b"content-length", b"1")])
    assert (reader.take(), reader.complete, reader.reusable) == (b"a", True, True)


def test_the_answer_to_a_question_for_the_head_has_no_body() -> None:
    reader = read(OK + b"content-length: 100\r\n\r\n", method="HEAD")
    assert (reader.complete, reader.take()) == (True, b"")


def test_an_answer_of_unknown_length_ends_with_the_connection() -> None:
    reader = read(OK + b"\r\n", b"a", b"b")
    assert not reader.complete
    reader.end()
    assert (reader.take(), reader.complete, reader.reusable) == (b"ab", True, False)


@pytest.mark.parametrize("surplus", [b"x", OK + b"content-length: 4\r\n\r\nevil", b"\0\0"])
@pytest.mark.parametrize("together", [True, False])
def test_a_connection_on_which_more_came_than_was_asked_for_is_not_used_again(surplus: bytes, together: bool) -> None:
    answer = OK + b"content-length: 1\r\n\r\na"
    reader = read(answer + surplus) if together else read(answer, surplus)
    assert (reader.take(), reader.complete, reader.reusable) == (b"a", True, False)


@pytest.mark.parametrize(
    ("sent", "problem"),
    [
        (b"", "without an answer"),
        (OK, "without an answer"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "without an answer"),
        (OK + b"content-length: 2\r\n\r\na", "before the end"),
        (OK + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n", "before the end"),
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(sent: bytes, problem: str) -> None:
    reader = read(sent)
    with pytest.raises(BadAnswer, match=problem):
        reader.end()


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"<html>\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"content-length: -1\r\n\r\n",
        OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        OK + b"content-length: 1, 2\r\n\r\nab",
        OK + b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nabc",
        OK + b"x: " + b"y" * MAX_HEAD_BYTES,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD_BYTES // 20),
    ],
    ids=range(12),
)
def test_what_is_no_http_is_an_error(sent: bytes) -> None:
    with pytest.raises(BadAnswer):
        read(sent)


@pytest.mark.parametrize("piece", [1_000, 1_024, 65_536, 1_000_000])
@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_how_large_a_head_may_be_does_not_depend_on_how_it_arrives(before: bytes, piece: int) -> None:
    def answer(size: int) -> list[bytes]:
        start, end = before + OK + b"content-length: 200000\r\nx: ", b"\r\n\r\n"
        whole = start + b"y" * (size - len(start) - len(end)) + end + b"z" * 200_000
        return [whole[at : at + piece] for at in range(0, len(whole), piece)]

    reader = read(*answer(MAX_HEAD_BYTES))
    assert (reader.complete, reader.reusable, reader.unread) == (True, True, MAX_HEAD_BYTES + 200_000)
    assert reader.take() == b"z" * 200_000
    with pytest.raises(BadAnswer, match=f"larger than {MAX_HEAD_BYTES:,} bytes"):
        read(*answer(MAX_HEAD_BYTES + 1))


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_whatever_arrives_is_an_answer_or_an_error(pieces: list[bytes]) -> None:
    reader = AnswerReader("POST")
    try:
        for piece in [OK + b"transfer-encoding: chunked\r\n\r\n", *pieces]:
            reader.feed(piece)
        reader.end()
    except BadAnswer:
        return
    assert reader.complete


# ---- requests


def test_a_request_has_its_lines() -> None:
    headers = [(b"host", b"h:1"), (b"x", b"y")]
    assert head_of("POST", b"/a%20b?c", headers) == b"POST /a%20b?c HTTP/1.1\r\nhost: h:1\r\nx: y\r\n\r\n"


@pytest.mark.parametrize("value", [b"a\r\nevil: 1", b"a\nb", b"a\rb", b"a\0b"])
def test_a_value_that_would_be_two_lines_is_refused_and_not_shown(value: bytes) -> None:
    with pytest.raises(httpx2.LocalProtocolError, match="'x-key'") as caught:
        head_of("GET", b"/", [(b"host", b"h"), (b"x-key", value)])
    assert "evil" not in str(caught.value)


@pytest.mark.parametrize("target", [b"/a b", b"/ HTTP/1.1\r\nx: y", b"/\n"])
def test_an_address_that_would_be_more_than_one_is_refused(target: bytes) -> None:
    with pytest.raises(httpx2.LocalProtocolError, match="address"):
        head_of("GET", target, [(b"host", b"h")])


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("http://h/x#y", ("http", "h", 80), b"h", b"/x"),
        ("https://h:8443", ("https", "h", 8443), b"h:8443", b"/"),
        ("http://[::1]:9/?a b", ("http", "::1", 9), b"[::1]:9", b"/?a%20b"),
        ("https://bücher.example/ü", ("https", "xn--bcher-kva.example", 443), b"xn--bcher-kva.example", b"/%C3%BC"),
    ],
)
def test_where_a_request_goes(url: str, origin: tuple[str, str, int], host: bytes, target: bytes) -> None:
    assert place_of(httpx2.URL(url)) == Place(origin, host, target)


@pytest.mark.parametrize("url", ["ftp://h/", "h/x", "http:///x"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(httpx2.UnsupportedProtocol):
        place_of(httpx2.URL(url))
