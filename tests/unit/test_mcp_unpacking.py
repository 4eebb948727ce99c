"""What is packed is unpacked in small pieces; streams that end at once are opened again at a walking pace."""

from __future__ import annotations

import gzip
import zlib

import httpx2
import pytest

from tiny_agents.inference.http.unpacking import PIECE_BYTES, Inflater, accepted, unpacked_blocking
from tiny_agents.mcp_client.transports.http_client import Pace

TEXT = b"".join(b"%d " % n for n in range(50_000))


@pytest.mark.parametrize("size", [1, 7, 1_000, 10**9])
@pytest.mark.parametrize(
    "packed",
    [gzip.compress(TEXT), gzip.compress(TEXT[:1_000]) + gzip.compress(TEXT[1_000:])],
    ids=["one", "two"],
)
def test_unpacking_does_not_depend_on_where_the_bytes_split(packed: bytes, size: int) -> None:
    inflater = Inflater()
    pieces = [piece for at in range(0, len(packed), size) for piece in inflater.feed(packed[at : at + size])]
    assert b"".join(pieces) == TEXT
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_a_bomb_is_unpacked_no_further_than_somebody_reads() -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    pieces = Inflater().feed(bomb)
    assert sum(len(next(pieces)) for _ in range(10)) == 10 * PIECE_BYTES


def test_nonsense_is_an_error() -> None:
    with pytest.raises(zlib.error):
        list(Inflater().feed(b"no gzip"))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", " GZIP ", "identity, gzip"])
def test_what_is_packed_is_unpacked_as_it_is_read(coding: str) -> None:
    packed = gzip.compress(TEXT)
    assert b"".join(unpacked_blocking(iter([packed[:100], packed[100:]]), coding)) == TEXT


@pytest.mark.parametrize("coding", ["", "identity", "none", "UTF-8", "aws-chunked"])
def test_what_only_sounds_as_if_it_were_packed_is_left_as_it_is(coding: str) -> None:
    assert list(unpacked_blocking(iter([b"as it is"]), coding)) == [b"as it is"]


@pytest.mark.parametrize("coding", ["br", "zstd", "deflate", "gzip, gzip", "x" * 1_000])
def test_what_is_packed_in_a_way_that_nobody_asked_for_is_an_error(coding: str) -> None:
    with pytest.raises(httpx2.DecodingError, match=f"packed as '{coding[:40]}', which nobody asked for"):
        list(unpacked_blocking(iter([b"x"]), coding))


@pytest.mark.parametrize(
    ("wished", "told"),
    [({}, "gzip"), ({"accept-encoding": "identity"}, "identity"), ({"accept-encoding": "br"}, "gzip")],
)
def test_nobody_is_asked_to_pack_in_a_way_that_is_not_unpacked_here(wished: dict[str, str], told: str) -> None:
    assert accepted(wished) == told


def test_streams_that_end_at_once_are_opened_ever_more_slowly_and_again_at_once_after_a_while() -> None:
    pace, now, waits = Pace(), 0.0, []
    for _ in range(8):
        waits.append(pace.delay(now))
        now += waits[-1]
    assert waits == [0, 0, 0, 0.25, 0.5, 1, 2, 2]
    assert pace.delay(now + 60) == 0
