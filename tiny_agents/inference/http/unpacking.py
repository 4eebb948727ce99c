"""Compressed answers, unpacked piece by piece: a few kilobytes of them may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator, Mapping

import httpx2

PIECE_BYTES = 64 * 1024

_GZIP = 16 + zlib.MAX_WBITS
_PLAIN = frozenset({"", "identity", "none", "utf-8", "aws-chunked"})
"""What servers call bodies that aren't packed at all."""


def accepted(headers: Mapping[str, str]) -> str:
    """What a server is told of packing (Accept-Encoding): what is unpacked here, whatever else `headers` wish for.

    Args:
        headers: Of the request, names in lower case. They may ask for an answer that isn't packed.
    """
    return "identity" if headers.get("accept-encoding") == "identity" else "gzip"


def unpacked(data: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """`data` as it arrives, or what is packed in it.

    Args:
        coding: The header Content-Encoding; empty where there is none.

    Raises:
        httpx2.DecodingError: When it is read: it isn't packed as it says, or in a way that nobody asked for.
    """
    packing = _packing(coding)
    return _inflated(data, packing) if packing else data


def unpacked_blocking(data: Iterator[bytes], coding: str) -> Iterator[bytes]:
    """`unpacked`, to be read by a thread."""
    packing = _packing(coding)
    return _inflated_blocking(data, packing) if packing else data


async def _inflated(data: AsyncIterator[bytes], packing: str) -> AsyncIterator[bytes]:
    inflater = _inflater(packing)
    async for packed in data:
        for piece in _fed(inflater, packed):
            yield piece


def _inflated_blocking(data: Iterator[bytes], packing: str) -> Iterator[bytes]:
    inflater = _inflater(packing)
    for packed in data:
        yield from _fed(inflater, packed)


def _packing(coding: str) -> str:
    """How a body is packed; empty if it isn't."""
    names = (name.strip().lower() for name in coding.split(","))
    return ", ".join(name for name in names if name not in _PLAIN)


def _inflater(packing: str) -> Inflater:
    if packing not in ("gzip", "x-gzip"):
        raise httpx2.DecodingError(f"the answer is packed as {packing[:40]!r}, which nobody asked for")
    return Inflater()


def _fed(inflater: Inflater, data: bytes) -> Iterator[bytes]:
    try:
        yield from inflater.feed(data)
    except zlib.error as error:
        raise httpx2.DecodingError(f"the answer can't be unpacked: {error}") from error


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
