"""Server-sent events with ids: what is read doesn't depend on where the bytes are cut."""

from __future__ import annotations

import pytest

from tiny_agents.errors import InvalidResponseError
from tiny_agents.mcp_client.transports.events import MAX_ID_BYTES, MAX_RETRY_S, Event, EventReader

STREAM = (
    b'\xef\xbb\xbf: hello\n\nid: 1\ndata:\n\nevent: message\ndata: {"a":1}\n\ndata: {"b":2}\r\n\r\nid:2\r\nretry: 250\r\n'
    b'data: {"c":\ndata: 3}\n\nevent: ping\ndata: x\n\nretry: 10\n\nid: \0\ndata: 4\n\nretry: soon\ndata: 5\n\ndata: cut off'
)

READ = [
    (b"", b"message", b"1", None),
    (b'{"a":1}', b"message", b"", None),
    (b'{"b":2}', b"message", b"", None),
    (b'{"c":\n3}', b"message", b"2", 0.25),
    (b"x", b"ping", b"", None),
    (b"", b"message", b"", 0.01),
    (b"4", b"message", b"", None),
    (b"5", b"message", b"", None),
]


def read(*pieces: bytes) -> list[tuple[bytes, bytes, bytes, float | None]]:
    reader = EventReader(1_000)
    found = [event for piece in pieces for event in reader.feed(piece)]
    return [
        (bytes(one), one.name, one.id, one.retry_s) if isinstance(one, Event) else (one, Event.name, b"", None)
        for one in found
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_events_have_their_names_ids_and_pauses_however_they_arrive(size: int) -> None:
    assert read(*(STREAM[at : at + size] for at in range(0, len(STREAM), size))) == READ


@pytest.mark.parametrize("at", range(1, len(STREAM)))
def test_one_cut_changes_nothing(at: int) -> None:
    assert read(STREAM[:at], STREAM[at:]) == READ


def test_ids_that_fit_into_no_header_and_pauses_without_end_are_bounded() -> None:
    event = EventReader(10**6).feed(
        b"id: " + b"x" * (MAX_ID_BYTES + 1) + b"\nretry: " + b"9" * 5_000 + b"\ndata: 1\n\n"
    )[0]
    assert isinstance(event, Event)
    assert (event.id, event.retry_s) == (b"", MAX_RETRY_S)


def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(InvalidResponseError, match="more than 1,000 bytes"):
        read(b"id: 1\ndata: " + b"x" * 2_000)
