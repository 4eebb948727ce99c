"""Server-sent events: bytes -> payloads. Sans-IO: no socket, no clock, so every split of the bytes can be tested.

Source: WHATWG HTML, "Server-sent events", 9.2.6 Interpreting an event stream. Lines end at LF, CR or CRLF and nowhere
else (a raw U+2028 in a JSON string is no line end); ids and retry times mean nothing here and are skipped.
"""

from __future__ import annotations

from tiny_agents.errors import InvalidResponseError

MAX_EVENT_BYTES = 16 * 1024 * 1024
LF, CR = b"\n\r"  # numbers: looking for one in bytes is several times faster than looking for bytes in bytes


class ErrorPayload(bytes):
    """The data of an event that the server itself named `error`."""


class SSEDecoder:
    """Splits a stream of bytes into the payloads of its events.

    Args:
        max_event_bytes: Size above which an unfinished event is refused, so that no server can fill the memory.
    """

    def __init__(self, *, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_event_bytes = max_event_bytes
        self._partial: list[bytes] = []  # pieces of the line that isn't finished
        self._partial_size = 0
        self._data: list[bytes] = []  # finished data lines of the event that isn't finished
        self._data_size = 0
        self._name = b""
        self._skip_lf = False  # the last byte was a CR: an LF that follows belongs to it
        self._at_start = True

    def feed(self, data: bytes) -> list[bytes]:
        """Payloads of the events that `data` completes.

        Raises:
            InvalidResponseError: An event is larger than `max_event_bytes`.
        """
        if self._at_start and data:
            data = self._without_mark(data)
        if self._skip_lf and data:
            self._skip_lf = False
            if data[:1] == b"\n":
                data = data[1:]
        if CR in data:
            self._skip_lf = data[-1] == CR
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._data or self._name or self._partial:
            payloads, data = self._finish_event(data)
        else:
            payloads = []
        if not data:
            return payloads
        if len(data) > self._max_event_bytes:
            return payloads + self._by_line(data)
        if data.endswith(b"\n\n") and data.find(b"\n") == len(data) - 2 and data.startswith(b"data: "):
            payloads.append(data[6:-2])
            return payloads
        blocks = data.split(b"\n\n")
        rest = blocks.pop()
        for block in blocks:
            if block.startswith(b"data: ") and LF not in block:  # the usual event, without a look at lines
                payloads.append(block[6:])
            else:
                for line in block.split(b"\n"):
                    self._line(line, payloads)
                self._line(b"", payloads)
        return payloads + self._by_line(rest) if rest else payloads

    def _finish_event(self, data: bytes) -> tuple[list[bytes], bytes]:
        """The payload of the event that isn't finished, if `data` finishes it, and what follows it."""
        if self._partial and not (self._data or self._name):  # one line of it is there, without its end
            if LF in data and self._partial_size + len(data) <= self._max_event_bytes:
                data = b"".join([*self._partial, data])
                self._partial.clear()
                self._partial_size = 0
                return [], data
            return self._by_line(data), b""
        if data.startswith(b"\n") and not self._partial:
            end = 1
        else:
            found = data.find(b"\n\n")
            end = len(data) if found < 0 else found + 2
        return self._by_line(data[:end]), data[end:]

    def _by_line(self, data: bytes) -> list[bytes]:
        """`feed` for what may begin or end within an event."""
        if LF not in data:
            self._keep(data)
            return []
        if self._partial:
            self._partial.append(data)
            data = b"".join(self._partial)
            self._partial.clear()
        lines = data.split(b"\n")
        rest = lines.pop()
        self._partial_size = 0
        payloads: list[bytes] = []
        for line in lines:
            if self._data_size + len(line) > self._max_event_bytes:  # its end came together with the last of it
                raise self._too_large()
            self._line(line, payloads)
        self._keep(rest)
        return payloads

    def finish(self) -> list[bytes]:
        """Payload of an event that the end of the stream completes: some servers leave the last empty line out."""
        payloads: list[bytes] = []
        self._line(b"".join(self._partial), payloads)
        self._partial.clear()
        self._line(b"", payloads)
        return payloads

    def _line(self, line: bytes, payloads: list[bytes]) -> None:
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._data_size += len(value)
        elif not line:
            if self._data:
                payload = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                payloads.append(ErrorPayload(payload) if self._name == b"error" else payload)
                self._data.clear()
                self._data_size = 0
            self._name = b""
        elif line.startswith(b"event:"):
            self._name = line[6:].strip()

    def _keep(self, rest: bytes) -> None:
        if rest:
            self._partial.append(rest)
            self._partial_size += len(rest)
            if self._partial_size + self._data_size > self._max_event_bytes:
                raise self._too_large()

    def _too_large(self) -> InvalidResponseError:
        return InvalidResponseError(
            f"The server sent an event of more than {self._max_event_bytes:,} bytes; the answer was given up."
        )

    def _without_mark(self, data: bytes) -> bytes:
        """A byte order mark at the very start means nothing; it can arrive in pieces."""
        mark = b"\xef\xbb\xbf"
        self._partial.append(data)
        data = b"".join(self._partial)
        self._partial.clear()
        if len(data) < len(mark) and mark.startswith(data):
            self._partial.append(data)
            return b""
        self._at_start = False
        self._partial_size = 0
        return data.removeprefix(mark)
