"""The two ways of a blocking request: `senders.py` without `await`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, cast

import httpx2
import msgspec

from tiny_agents.inference.call import Request
from tiny_agents.inference.http.clients import Address, built, client_options, hidden_address
from tiny_agents.inference.http.http1.blocking import BlockingPool
from tiny_agents.inference.http.http1.pool import Waits
from tiny_agents.inference.http.outgoing import incoming, known_places, note, outgoing
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.trust import goes_direct, trust_for
from tiny_agents.inference.http.unpacking import unpacked_blocking
from tiny_agents.records import Discreet


class BlockingReply(Discreet, msgspec.Struct, frozen=True):
    """`Reply`, to be read by a thread."""

    not_shown = frozenset({"headers"})

    request: Request
    status: int
    reason: str
    headers: Mapping[str, str]
    data: Iterator[bytes]
    close: Callable[[], None]


class BlockingSender(Protocol):
    """`Sender`, for threads."""

    def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits
    ) -> BlockingReply: ...

    def close(self) -> None: ...


def new_blocking_sender(url: str, settings: HTTPSettings) -> BlockingSender:
    """`new_sender`, for threads."""
    if goes_direct(url, settings):
        return BlockingDirectSender(BlockingPool(trust_for(url)))
    client = httpx2.Client(**client_options(url, settings, httpx2.HTTPTransport))
    return BlockingClientSender(client, hidden_address)


class BlockingDirectSender:
    """Over connections of ours."""

    def __init__(self, pool: BlockingPool) -> None:
        self._pool = pool
        self._whereto = known_places()

    def send(self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits) -> BlockingReply:
        place, fields = outgoing(request, headers, content, self._whereto)
        answer = self._pool.send(request.method, place, fields, content or b"", waits)
        note(request, answer.status)
        shown = incoming(answer.headers)
        data = unpacked_blocking(answer.body(), shown.get("content-encoding", ""))
        return BlockingReply(request, answer.status, answer.reason.decode("ascii", "ignore"), shown, data, answer.close)

    def close(self) -> None:
        self._pool.close()


class BlockingClientSender:
    """Through a client of httpx2: with proxies, or the user's own. `waits.head` isn't kept: each read has its limit."""

    def __init__(self, client: httpx2.Client, address: Callable[[str], Address] = Address.of) -> None:
        self._client = client
        self._address = address

    def send(self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits) -> BlockingReply:
        address = self._address(request.url)
        sent = built(self._client, request.method, address, headers, content, waits)
        response = self._client.send(sent, stream=True, follow_redirects=False, **address.auth)
        shown = incoming(response.headers.raw)
        if response.is_stream_consumed:  # by a transport that reads it at once, and unpacks it
            data: Iterator[bytes] = response.iter_bytes()
        else:
            raw = cast("httpx2.SyncByteStream", response.stream)  # as it comes: `iter_raw` would cut and count it
            data = unpacked_blocking(iter(raw), shown.get("content-encoding", ""))
        return BlockingReply(request, response.status_code, response.reason_phrase, shown, data, response.close)

    def close(self) -> None:
        self._client.close()
