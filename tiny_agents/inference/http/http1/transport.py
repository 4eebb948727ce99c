"""`Transport`: how a client of httpx2 sends over a `Pool`; answers as httpx2 has them."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from typing import cast

import httpx2

from tiny_agents.inference.http.http1.blocking import BlockingAnswer
from tiny_agents.inference.http.http1.pool import Answer, Place, Pool, Waits, place_of


class Transport(httpx2.AsyncBaseTransport):
    """What `httpx2.AsyncClient(transport=...)` takes: a `Pool` of connections of its own.

    Args:
        trust: Whom it trusts over TLS.
    """

    def __init__(self, trust: ssl.SSLContext) -> None:
        self.pool = Pool(trust)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        place = place_of(request.url)
        if (target := request.extensions.get("target")) is not None:
            place = Place(place.origin, place.host, target)
        limits: dict[str, float | None] = request.extensions.get("timeout", {})
        waits = Waits(limits.get("connect"), limits.get("write"), limits.get("read"))
        body = cast("httpx2.AsyncByteStream", request.stream)
        return response_of(await self.pool.send(request.method, place, request.headers.raw, body, waits))

    async def aclose(self) -> None:
        await self.pool.aclose()


def response_of(answer: Answer) -> httpx2.Response:
    """An answer as httpx2 has it, which unpacks what is compressed."""
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": answer.reason}
    return httpx2.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=extensions)


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._answer.body()

    async def aclose(self) -> None:
        await self._answer.aclose()


def blocking_response_of(answer: BlockingAnswer) -> httpx2.Response:
    """`response_of`, to be read by a thread."""
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": answer.reason}
    return httpx2.Response(answer.status, headers=answer.headers, stream=_BlockingBody(answer), extensions=extensions)


class _BlockingBody(httpx2.SyncByteStream):
    def __init__(self, answer: BlockingAnswer) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.body()

    def close(self) -> None:
        self._answer.close()
