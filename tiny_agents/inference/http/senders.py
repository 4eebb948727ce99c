"""The two ways of an asynchronous request: over connections of ours, or through a client of httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Protocol, cast

import anyio
import httpx2
import msgspec

from tiny_agents.inference.call import Request
from tiny_agents.inference.http.clients import Address, lower, needs_decoding
from tiny_agents.inference.http.http1.pool import Pool
from tiny_agents.inference.http.http1.transport import response_of
from tiny_agents.inference.http.outgoing import incoming, note, outgoing, waits
from tiny_agents.inference.http.tries import timeout
from tiny_agents.records import Discreet


class Reply(Discreet, msgspec.Struct, frozen=True):
    """An answer whose head is there.

    Attributes:
        headers: Names in lower case.
        data: The body as it arrives, unpacked. Raises httpx2's errors.
        aclose: Closes the answer; its connection is used again if it was read to its end.
    """

    not_shown = frozenset({"headers"})

    status: int
    headers: Mapping[str, str]
    data: AsyncIterator[bytes]
    aclose: Callable[[], Awaitable[None]]


class Sender(Protocol):
    """Sends one request, once."""

    async def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> Reply:
        """Raises httpx2's errors.

        Args:
            headers: As they are sent, names in lower case.
            limit_s: Seconds any single wait may take.
            head_s: Seconds until the answer's head has to be there: it may come byte by byte, or never end.
        """

    async def aclose(self) -> None: ...


class DirectSender:
    """Over connections of ours."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> Reply:
        place, fields = outgoing(request, headers, content)
        answer = await self._pool.send(request.method, place, fields, content or b"", waits(limit_s, head_s))
        note(request, answer.status)
        shown = incoming(answer.headers)
        if "content-encoding" in shown:
            response = response_of(answer)
            return Reply(answer.status, shown, response.aiter_bytes(), response.aclose)
        return Reply(answer.status, shown, answer.body(), answer.aclose)

    async def aclose(self) -> None:
        await self._pool.aclose()


class ClientSender:
    """Through a client of httpx2: with proxies, or the user's own."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def send(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, limit_s: float, head_s: float
    ) -> Reply:
        address = Address.of(request.url)
        built = self._client.build_request(
            request.method,
            address.url,
            content=content,
            headers=headers,
            timeout=timeout(limit_s),
            extensions=address.extensions,
        )
        with anyio.move_on_after(head_s):
            response = await self._client.send(built, stream=True, follow_redirects=False, **address.auth)
            raw = cast("httpx2.AsyncByteStream", response.stream)  # as it comes: `aiter_raw` would cut and count it
            data = response.aiter_bytes() if needs_decoding(response) else aiter(raw)
            return Reply(response.status_code, lower(response.headers), data, response.aclose)
        raise httpx2.ReadTimeout(f"no answer within {head_s:g} s", request=built)

    async def aclose(self) -> None:
        await self._client.aclose()
