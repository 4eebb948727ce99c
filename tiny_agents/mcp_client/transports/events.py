"""Server-sent events of MCP servers: bytes -> events with their ids, of which a stream that broke can be resumed."""

from __future__ import annotations

from tiny_agents.inference.sse import SSEDecoder

MAX_ID_BYTES = 4096
"""Longest id that is remembered: it has to fit into a header."""

MAX_RETRY_S = 60.0


class Event(bytes):
    """The data of an event, which may be empty.

    Attributes:
        name: What it is; "message" if the server gives no name.
        id: To ask for what comes after it; empty if it has none.
        retry_s: How long to wait before that; None if the server doesn't say.
    """

    name = b"message"
    id = b""
    retry_s: float | None = None


class EventReader(SSEDecoder):
    """An `SSEDecoder` whose payloads are `Event`s, or plain bytes where an event has nothing but its data."""

    def __init__(self, max_event_bytes: int) -> None:
        super().__init__(max_event_bytes=max_event_bytes)
        self._id = b""
        self._retry_s: float | None = None

    def _line(self, line: bytes, payloads: list[bytes]) -> None:
        if line.startswith(b"id:"):
            id = line[3:].removeprefix(b" ")
            if b"\0" not in id and len(id) <= MAX_ID_BYTES:
                self._id = id
                self._name = self._name or Event.name  # the event has begun
        elif line.startswith(b"retry:"):
            if (value := line[6:].strip()).isdigit():
                self._retry_s = min(int(value[:12]) / 1000, MAX_RETRY_S)
                self._name = self._name or Event.name
        elif line:
            super()._line(line, payloads)
        elif self._name:
            event = Event(b"\n".join(self._data))
            event.name, event.id, event.retry_s = self._name, self._id, self._retry_s
            payloads.append(event)
            self._data.clear()
            self._data_size, self._name, self._id, self._retry_s = 0, b"", b"", None
        else:
            super()._line(line, payloads)
