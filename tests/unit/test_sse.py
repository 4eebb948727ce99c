"""Bytes of an event stream -> payloads."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.errors import InvalidResponseError
from tiny_agents.inference.sse import ErrorPayload, SSEDecoder

WIRE = (
    "\ufeff: a comment\r\n"
    'data: {"text": "Grüße \u2028 and \x0b more"}\r\n\r\n'
    "data:no space\n\n"
    "event: error\ndata: it broke\n\n"
    "id: 7\nretry: 100\nunknown\ndata: first\rdata: second\r\r"
    "data\n\n"
    "data: [DONE]\n\n"
).encode()
PAYLOADS = [
    '{"text": "Grüße \u2028 and \x0b more"}'.encode(),
    b"no space",
    b"it broke",
    b"first\nsecond",
    b"[DONE]",
]


def decode(*pieces: bytes) -> list[bytes]:
    decoder = SSEDecoder()
    return [payload for piece in pieces for payload in decoder.feed(piece)]


@pytest.mark.parametrize("cut", range(len(WIRE) + 1))
def test_payloads_do_not_depend_on_where_the_bytes_split(cut: int) -> None:
    assert decode(WIRE[:cut], WIRE[cut:]) == PAYLOADS


def test_byte_by_byte_gives_the_same_as_all_at_once() -> None:
    assert decode(*(bytes([byte]) for byte in WIRE)) == PAYLOADS


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_any_bytes_decode_alike_however_they_are_split(pieces: list[bytes]) -> None:
    assert decode(*pieces) == decode(b"".join(pieces))


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=5))
def test_what_is_written_as_events_is_read_back(texts: list[str]) -> None:
    wire = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    assert decode(wire) == [text.encode() for text in texts]


def test_an_event_named_error_is_told_apart() -> None:
    first, second = decode(b"event: error\ndata: no\n\ndata: yes\n\n")
    assert (type(first), first) == (ErrorPayload, b"no")
    assert type(second) is bytes


def test_the_last_event_needs_no_empty_line() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: one\n\ndata: two") == [b"one"]
    assert decoder.finish() == [b"two"]
    assert decoder.finish() == []


def test_a_carriage_return_at_the_end_of_a_read_ends_the_event_at_once() -> None:
    decoder = SSEDecoder()
    assert decoder.feed(b"data: one\r\r") == [b"one"]
    assert decoder.feed(b"\ndata: two\r\n\r\n") == [b"two"]


@pytest.mark.parametrize("piece", [b"x" * 100, b"data: " + b"x" * 94 + b"\n"])
def test_an_endless_event_is_refused(piece: bytes) -> None:
    decoder = SSEDecoder(max_event_bytes=1000)
    with pytest.raises(InvalidResponseError, match="1,000 bytes"):
        for _ in range(20):
            decoder.feed(piece)


@pytest.mark.parametrize("beginning", [b"x", b": ", b"data: ", b"data: a\ndata: ", b"data: a\n\nid: "])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"data: [DONE]\n\n"])
def test_a_line_that_is_too_long_is_refused_though_its_end_came_with_the_rest_of_it(
    beginning: bytes, end: bytes
) -> None:
    wire = beginning + b"x" * 1001 + end
    for cut in (0, 1, 500, 990, len(wire) - 1):
        decoder = SSEDecoder(max_event_bytes=1000)
        with pytest.raises(InvalidResponseError, match="1,000 bytes"):
            decoder.feed(wire[:cut])
            decoder.feed(wire[cut:])


LINES = st.lists(
    st.sampled_from([b"data: ", b"data:", b": ", b"event: error", b"x" * 7, b"y" * 15, b"\n", b"\n\n", b"\r"])
)


@given(LINES, st.lists(st.integers(0, 200)), st.integers(1, 60))
def test_what_is_too_large_does_not_depend_on_where_the_bytes_split(
    parts: list[bytes], cuts: list[int], limit: int
) -> None:
    def decoded(pieces: list[bytes]) -> list[bytes] | None:
        decoder = SSEDecoder(max_event_bytes=limit)
        try:
            return [payload for piece in pieces for payload in decoder.feed(piece)]
        except InvalidResponseError:
            return None

    wire = b"".join(parts)
    places = sorted({min(cut, len(wire)) for cut in cuts} | {0, len(wire)})
    assert decoded([wire[a:b] for a, b in itertools.pairwise(places)]) == decoded([wire])


def test_a_large_event_in_small_reads_is_not_refused() -> None:
    body = b"y" * 1_000_000
    wire = b"data: " + body + b"\n\n"
    assert decode(*(wire[i : i + 1000] for i in range(0, len(wire), 1000))) == [body]
