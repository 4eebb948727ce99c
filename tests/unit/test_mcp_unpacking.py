"""What is packed is unpacked in small pieces; streams that end at once are opened again at a walking pace."""

from __future__ import annotations

import gzip
import zlib

import pytest

from tiny_agents.mcp_client.transports.http_client import Pace
from tiny_agents.mcp_client.transports.unpacking import PIECE_BYTES, Inflater

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


def test_streams_that_end_at_once_are_opened_ever_more_slowly_and_again_at_once_after_a_while() -> None:
    pace, now, waits = Pace(), 0.0, []
    for _ in range(8):
        waits.append(pace.delay(now))
        now += waits[-1]
    assert waits == [0, 0, 0, 0.25, 0.5, 1, 2, 2]
    assert pace.delay(now + 60) == 0
