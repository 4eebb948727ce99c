"""Bytes of a connection -> one answer. Sans-IO: llhttp reads, what it means for the connection is decided here.

Sources: RFC 9112 (HTTP/1.1), 6.3 "Message Body Length" and 9.3 "Persistence"; RFC 9110, 15.2 "Informational 1xx".
"""

from __future__ import annotations

import re

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES = 100 * 1024
"""The largest head of an answer, together with the interim answers before it."""


_END_OF_HEAD = re.compile(rb"\n\r?\n")
_LENGTH_LINE = re.compile(rb"(?i)\r?\ncontent-length:[ \t]*([^\r\n]*)(?=\r?\n)")


class BadAnswer(Exception):
    """What arrives is no answer, or not the whole of one."""


class AnswerReader:
    """Reads one answer: `feed` what arrives, `end` when nothing more does, `take` its body piece by piece.

    Attributes:
        status, reason, headers: Its head, once `has_head`.
        complete: All of it is there.
        reusable: The connection can take another request. False until the answer is complete.
        unread: Bytes that arrived since the last `take`.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.has_head = self.complete = self.reusable = False
        self.unread = 0
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append  # what llhttp calls for each piece: no function of Python's own in between
        self._has_body = method != "HEAD"
        self._head = b""  # what came, as long as the head isn't there
        self._stuck: HttpParserError | None = None
        self._parser: HttpResponseParser | None = self._new_parser()

    def _new_parser(self) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        # As h11 and browsers do: a line may end with a bare LF and go on in the next one, of two lengths the chunks count,
        # and what follows the answer that ends a connection isn't read.
        parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_data_after_close=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        return parser

    def feed(self, data: bytes) -> None:
        """Read on. Raises BadAnswer."""
        if self._parser is None:
            self.reusable = False  # more than was asked for
            return
        beyond = b""  # what a head that isn't there yet must not reach
        if not self.has_head:
            if (room := MAX_HEAD_BYTES - len(self._head)) < len(data):
                data, beyond = data[:room], data[room:]
            self._head += data
        self.unread += len(data)
        try:
            if self._stuck is not None:
                self._read_mended(self._stuck)
            else:
                self._parser.feed_data(data)
        except HttpParserUpgrade as error:
            raise BadAnswer("the server wants to speak another protocol") from error
        except HttpParserError as error:
            if not self.complete:
                self._read_mended(error)
            else:
                self.reusable = False
        if self.has_head:
            self._head = b""
        elif beyond:
            raise BadAnswer(f"the head of the answer is larger than {MAX_HEAD_BYTES:,} bytes")
        if self.complete:
            self._parser = None  # it refers to this object
        if beyond:
            self.feed(beyond)

    def _read_mended(self, error: HttpParserError) -> None:
        """Read a head again that couldn't be read, once it is there, if it can be mended. Raises BadAnswer."""
        if not self.has_head and b"content-length" in self._head.lower():
            self._stuck = error
            if _END_OF_HEAD.search(self._head) is None:
                return
            if (mended := _said_once(self._head)) != self._head:
                self.status, self.reason, self.headers = 0, b"", []
                self._head, self._parser, self._stuck = b"", self._new_parser(), None
                self.unread = 0
                self.feed(mended)
                return
        raise BadAnswer(str(error) or "this is no HTTP") from error

    def end(self) -> None:
        """Nothing more arrives. Raises BadAnswer where something is missing."""
        if self.complete:
            return
        if not self.has_head:
            raise BadAnswer("the server closed the connection without an answer")
        if self._measured:
            raise BadAnswer("the server closed the connection before the end of the answer")
        self.complete, self._parser = True, None

    def take(self) -> bytes:
        """What there is of the body, as one piece, and not again."""
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.unread = 0
        return data

    @property
    def _measured(self) -> bool:
        """Whether the answer says where it ends, other than by the end of the connection."""
        said = {name.lower(): value.lower() for name, value in self.headers}
        return b"content-length" in said or b"chunked" in said.get(b"transfer-encoding", b"")

    # ---- what llhttp calls

    def on_message_begin(self) -> None:
        if self.complete:
            raise BadAnswer("an answer that nobody asked for")  # before its body is taken for one of ours

    def on_status(self, reason: bytes) -> None:
        if not self.complete:
            self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # those after a body in chunks mean nothing here
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.complete or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.has_head = True
            if not self._has_body:  # its length is that of a body which doesn't follow
                self.complete = True

    def on_message_complete(self) -> None:
        if self.complete or self._parser is None:
            return
        if not self.has_head:  # an interim answer: the one that counts is still to come
            self.reason, self.headers = b"", []
            return
        self.complete = True
        self.reusable = self._parser.should_keep_alive()


def _said_once(head: bytes) -> bytes:
    """A head in which a length that is given several times, and is always the same, is given once: RFC 9110, 8.6."""
    found = list(_LENGTH_LINE.finditer(head))
    lengths = {length.strip() for line in found for length in line[1].split(b",")}
    if len(lengths) != 1:
        return head
    pieces, start = [], 0
    for line in found[1:]:
        pieces.append(head[start : line.start()])
        start = line.end()
    once = b"".join(pieces) + head[start:]
    return _LENGTH_LINE.sub(b"\r\ncontent-length: " + lengths.pop(), once)
