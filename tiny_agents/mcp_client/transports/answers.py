"""What is read of any answer: where it came from, and its body, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2

DRAIN_S = 0.5
DRAIN_BYTES = 64 * 1024
"""How long the end of an answer is waited for that has said all it has to, and how much may come before it."""


def origin(url: httpx2.URL) -> str:
    """Scheme, host and port of `url`, as one text to compare and to show."""
    return f"{url.scheme}://{url.netloc.decode()}"


async def bounded_body(response: httpx2.Response, limit: int) -> bytes | None:
    """The whole body, unpacked; None if it is longer than `limit` bytes. Closes the response."""
    body = bytearray()
    try:
        async for data in response.aiter_bytes():
            body += data
            if len(body) > limit:
                return None
    finally:
        await response.aclose()
    return bytes(body)


async def finish(response: httpx2.Response, chunks: AsyncIterator[bytes] | None = None) -> None:
    """Close an answer; before, its end is read if it comes in a moment, as its connection can be used again then.

    Args:
        chunks: What its body is being read by, if it is.
    """
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_S):
            async for data in chunks or response.aiter_bytes():
                left -= len(data)
                if left < 0:
                    return
    except (TimeoutError, httpx2.RequestError):
        return  # then it is closed as it is
    finally:
        await response.aclose()
