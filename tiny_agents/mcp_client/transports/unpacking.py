"""Compressed answers, unpacked piece by piece: a few kilobytes of them may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

import httpx2

ACCEPTED = "gzip"
"""What a server is told (Accept-Encoding)."""

PIECE_BYTES = 64 * 1024

_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")
_GZIP = 16 + zlib.MAX_WBITS


def unpacked(response: httpx2.Response) -> httpx2.Response:
    """The same answer, not read yet, with what is compressed unpacked as it is read.

    Raises:
        DecodingError: When it is read: what came is no such thing, or is packed in a way that nobody asked for.
    """
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("", "identity"):
        return response
    kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_WIRE]
    plain = httpx2.Response(
        response.status_code, headers=kept, stream=_Unpacked(response, coding), request=response.request
    )
    plain.next_request = response.next_request
    return plain


class _Unpacked(httpx2.AsyncByteStream):
    def __init__(self, response: httpx2.Response, coding: str) -> None:
        self._response = response
        self._coding = coding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._coding not in ("gzip", "x-gzip"):
            raise httpx2.DecodingError(f"the answer is packed as {self._coding[:40]!r}, which nobody asked for")
        inflater = Inflater()
        async for data in self._response.aiter_raw():
            try:
                for piece in inflater.feed(data):
                    yield piece
            except zlib.error as error:
                raise httpx2.DecodingError(f"the answer can't be unpacked: {error}") from error

    async def aclose(self) -> None:
        await self._response.aclose()


class Inflater:
    """Bytes of gzip -> plain ones, at most `PIECE_BYTES` of them at a time."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(_GZIP)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            piece = self._inflate.decompress(data, PIECE_BYTES)
            if piece:
                yield piece
            if self._inflate.eof:
                data = self._inflate.unused_data
                if data:  # there may be several, one after the other
                    self._inflate = zlib.decompressobj(_GZIP)
                continue
            data = self._inflate.unconsumed_tail
            while not data and len(piece) == PIECE_BYTES:  # all is taken in, and not all given out
                if piece := self._inflate.decompress(b"", PIECE_BYTES):
                    yield piece
