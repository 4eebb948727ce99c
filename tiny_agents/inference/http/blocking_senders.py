"""The two ways of a blocking request: `senders.py` without `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, cast

import httpx2
import msgspec

from tiny_agents.inference.call import Request
from tiny_agents.inference.http.clients import Address, lower, needs_decoding
from tiny_agents.inference.http.http1.blocking import BlockingPool
from tiny_agents.inference.http.http1.transport import blocking_response_of
from tiny_agents.inference.http.outgoing import incoming, note, outgoing, waits
from tiny_agents.inference.http.tries import timeout
from tiny_agents.records import Discreet


class BlockingReply(Discreet, msgspec.Struct, frozen=True):
    """`Reply`, to be read by a thread."""

    not_shown = frozenset({"headers"})

    status: int
    headers: Mapping[str, str]
    data: Iterator[bytes]
    close: Callable[[], None]


class BlockingSender(Protocol):
    """`Sender`, for threads."""

    def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> BlockingReply: ...

    def close(self) -> None: ...


class BlockingDirectSender:
    """Over connections of ours."""

    def __init__(self, pool: BlockingPool) -> None:
        self._pool = pool

    def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> BlockingReply:
        place, fields = outgoing(request, headers, content)
        answer = self._pool.send(request.method, place, fields, content or b"", waits(limit_s, head_s))
        note(request, answer.status)
        shown = incoming(answer.headers)
        if "content-encoding" in shown:
            response = blocking_response_of(answer)
            return BlockingReply(answer.status, shown, response.iter_bytes(), response.close)
        return BlockingReply(answer.status, shown, answer.body(), answer.close)

    def close(self) -> None:
        self._pool.close()


class BlockingClientSender:
    """Through a client of httpx2: with proxies, or the user's own. `head_s` isn't kept: each read has its limit."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> BlockingReply:
        address = Address.of(request.url)
        built = self._client.build_request(
            request.method,
            address.url,
            content=content,
            headers=headers,
            timeout=timeout(limit_s),
            extensions=address.extensions,
        )
        response = self._client.send(built, stream=True, follow_redirects=False, **address.auth)
        raw = cast("httpx2.SyncByteStream", response.stream)  # as it comes: `iter_raw` would cut and count it
        data = response.iter_bytes() if needs_decoding(response) else iter(raw)
        return BlockingReply(response.status_code, lower(response.headers), data, response.close)

    def close(self) -> None:
        self._client.close()
