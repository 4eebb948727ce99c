"""The two ways of an asynchronous request: over connections of ours, or through a client of httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol, cast

import anyio
import anyio.to_thread
import httpx2
import msgspec

from tiny_agents.inference.call import Request
from tiny_agents.inference.http.clients import Address, built, client_options, hidden_address
from tiny_agents.inference.http.http1.pool import Pool, Waits
from tiny_agents.inference.http.outgoing import incoming, known_places, note, outgoing
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.trust import goes_direct, trust_for, trust_store
from tiny_agents.inference.http.unpacking import unpacked
from tiny_agents.inference.wire import is_plain_loopback
from tiny_agents.records import Discreet


class Reply(Discreet, msgspec.Struct, frozen=True, gc=False):
    """An answer whose head is there.

    Attributes:
        request: What was asked.
        reason: What its server calls the status; may be empty.
        headers: Names in lower case. Several cookies have line ends between them, the rest commas.
        data: The body as it arrives, unpacked; one iterator, so who stops can go on. Raises httpx2's errors.
        aclose: Closes the answer; its connection is used again if it was read to its end.
    """

    not_shown = frozenset({"headers"})

    request: Request
    status: int
    reason: str
    headers: Mapping[str, str]
    data: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


class Sender(Protocol):
    """Sends one request, once."""

    async def send(self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits) -> Reply:
        """Send to `request.url`, by `request.method`; the rest of `request` was made into the other arguments.

        Args:
            headers: As they are sent, names in lower case.

        Raises:
            httpx2.HTTPError, httpx2.InvalidURL: There is no answer.
        """

    async def aclose(self) -> None: ...


async def new_sender(url: str, settings: HTTPSettings) -> Sender:
    """What sends to `url`, and to others that are as local or as far as it."""
    if not is_plain_loopback(url):
        await anyio.to_thread.run_sync(trust_store)  # reads files for some 50 ms, once in a process
    if goes_direct(url, settings):
        return DirectSender(Pool(trust_for(url)))
    client = httpx2.AsyncClient(**client_options(url, settings, httpx2.AsyncHTTPTransport))
    return ClientSender(client, hidden_address)


class DirectSender:
    """Over connections of ours."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._whereto = known_places()

    async def send(self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits) -> Reply:
        answer = await self._pool.send(
            request.method, *outgoing(request, headers, content, self._whereto), content or b"", waits
        )
        note(request, answer.status)
        shown = incoming(answer.headers)
        data = answer.body()
        if "content-encoding" in shown:
            data = unpacked(data, shown["content-encoding"])
        return Reply(request, answer.status, answer.reason.decode("ascii", "ignore"), shown, data, answer.aclose)

    async def aclose(self) -> None:
        await self._pool.aclose()


class ClientSender:
    """Through a client of httpx2: with proxies, or the user's own.

    Args:
        address: What the client is told of an address, and so writes to its log.
    """

    def __init__(self, client: httpx2.AsyncClient, address: Callable[[str], Address] = Address.of) -> None:
        self._client = client
        self._address = address

    async def send(self, request: Request, headers: Mapping[str, str], content: bytes | None, waits: Waits) -> Reply:
        address = self._address(request.url)
        sent = built(self._client, request.method, address, headers, content, waits)
        with anyio.move_on_after(waits.head):
            response = await self._client.send(sent, stream=True, follow_redirects=False, **address.auth)
            shown = incoming(response.headers.raw)
            if response.is_stream_consumed:  # by a transport that reads it at once, and unpacks it
                data: AsyncIterator[bytes] = response.aiter_bytes()
            else:
                raw = cast("httpx2.AsyncByteStream", response.stream)  # as it comes: `aiter_raw` would cut and count it
                data = unpacked(aiter(raw), shown.get("content-encoding", ""))
            return Reply(request, response.status_code, response.reason_phrase, shown, data, response.aclose)
        raise httpx2.ReadTimeout(f"no answer within {waits.head:g} s", request=sent)

    async def aclose(self) -> None:
        await self._client.aclose()
