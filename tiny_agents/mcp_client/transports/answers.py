"""What is read of any answer: where it came from, and its body, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from tiny_agents.inference.http.senders import Reply

DRAIN_S = 0.5
DRAIN_BYTES = 64 * 1024
"""How long the end of an answer is waited for that has said all it has to, and how much may come before it."""


def origin(url: httpx2.URL) -> str:
    """Scheme, host and port of `url`, as one text to compare and to show."""
    return f"{url.scheme}://{url.netloc.decode()}"


async def bounded(data: AsyncIterator[bytes], limit: int) -> bytes | None:
    """All of a body; None if it is longer than `limit` bytes, of which no more is read then."""
    body = bytearray()
    async for piece in data:
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)


async def finish(reply: Reply) -> None:
    """Close an answer; before, its end is read if it comes in a moment, as its connection can be used again then."""
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(DRAIN_S):
            async for data in reply.data:
                left -= len(data)
                if left < 0:
                    return
    except (TimeoutError, httpx2.RequestError):
        return  # then it is closed as it is
    finally:
        await reply.aclose()
