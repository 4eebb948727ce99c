"""What is read of any answer: where it came from, and its body, bounded."""

from __future__ import annotations

import httpx2


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
