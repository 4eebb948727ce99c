"""`AsyncHTTP`: sending from tasks."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Self

import anyio
import anyio.lowlevel
import httpx2

from tiny_agents.errors import public_url
from tiny_agents.inference.call import Request, Response
from tiny_agents.inference.deadline import NO_DEADLINE, Deadline
from tiny_agents.inference.http.answer import Answer
from tiny_agents.inference.http.clients import OwnClient, checked_own
from tiny_agents.inference.http.outgoing import waits
from tiny_agents.inference.http.senders import ClientSender, Reply, Sender, new_sender
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.tries import (
    ERROR_BODY_LIMIT,
    Tries,
    content_of,
    translate,
    without_request,
)
from tiny_agents.inference.wire import is_plain_loopback, is_redirect, wire_headers


class AsyncResponseStream(Answer):
    """An open, successful answer. Closed when read to its end, by `aclose`, or by leaving its `async with` block.

    `data` gives the bytes as they arrive. It is one iterator: a loop that stops can be gone on with.
    """

    def __init__(self, reply: Reply, tries: Tries) -> None:
        super().__init__(reply.status, reply.headers, tries)
        self._reply = reply
        self._closed = False
        self.data = self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._reply.data:
                if self._limited and self.deadline.left_s <= 0:
                    await self.aclose()
                    raise self.deadline.passed(public_url(self.url))
                yield data
        except httpx2.HTTPError as error:
            await self.aclose()
            raise translate(error, self.request, self.timeout_s, self.deadline) from without_request(error)
        await self.aclose()

    async def body(self) -> bytes:
        """All of it. Raises an InferenceError where it is too large, or comes too slowly."""
        since, pieces, size = time.monotonic(), [], 0
        async for data in self.data:
            pieces.append(data)
            size += len(data)
            self._check_body(size, since)
        return b"".join(pieces)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        # Shielded: the connection has to be given back even when the reader is being cancelled.
        with anyio.CancelScope(shield=True):
            await self._reply.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncHTTP:
    """Sends requests from tasks; connections are kept and shared. `own` is used where given, and never closed."""

    def __init__(self, settings: HTTPSettings | None = None, *, own: OwnClient | None = None) -> None:
        self.settings = settings or HTTPSettings()
        own_client = checked_own(own, httpx2.AsyncClient)
        self._own = None if own_client is None else ClientSender(own_client)
        self._senders: dict[bool, Sender] = {}
        self._loop: object = None

    async def send(self, request: Request, deadline: Deadline = NO_DEADLINE) -> Response:
        """Send and read the whole answer. Raises the errors of `open`."""
        async with await self._open(request, deadline, stream=False) as stream:
            return Response(stream.status, stream.headers, await stream.body(), stream.url)

    def open(self, request: Request, deadline: Deadline = NO_DEADLINE) -> Coroutine[Any, Any, AsyncResponseStream]:
        """Send and hand over the answer while it still arrives.

        Raises:
            ProviderError: An error status, after the tries that `max_retries` allows.
            InferenceConnectionError, InferenceTimeoutError: No answer.
        """
        return self._open(request, deadline, stream=True)

    async def aclose(self) -> None:
        senders = list(self._senders.values())
        self._senders.clear()
        if self._loop == anyio.lowlevel.current_token():  # of a loop that has ended, there is nothing left to close
            for sender in senders:
                await sender.aclose()

    async def _open(self, request: Request, deadline: Deadline, *, stream: bool) -> AsyncResponseStream:
        tries = Tries(request, self.settings, deadline)
        content = content_of(request)
        while True:
            try:
                sender = await self._sender(tries.request.url)
                reply = await self._send_once(sender, tries, content, stream)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                await anyio.sleep(tries.after_error(error))
                continue
            if 200 <= reply.status < 300:
                return AsyncResponseStream(reply, tries)
            if is_redirect(reply.status, reply.headers):
                if not self.settings.follow_redirects:
                    return AsyncResponseStream(reply, tries)
                await reply.aclose()
                tries.follow(reply.status, reply.headers)
                continue
            body = await self._error_body(reply, tries)
            await anyio.sleep(tries.after_status(reply.status, reply.headers, body))

    def _send_once(
        self, sender: Sender, tries: Tries, content: bytes | None, stream: bool
    ) -> Coroutine[Any, Any, Reply]:
        request = tries.request
        headers = wire_headers(request, stream=stream)
        return sender.send(request, headers, content, waits(tries.begin(), content))

    async def _error_body(self, reply: Reply, tries: Tries) -> bytes:
        body, until = b"", time.monotonic() + tries.limit_s
        try:
            async for data in reply.data:
                body += data
                if len(body) > ERROR_BODY_LIMIT or time.monotonic() > until:
                    break
        except httpx2.HTTPError as error:
            body = body or f"(its text could not be read: {type(error).__name__})".encode()
        finally:
            await reply.aclose()
        return body

    async def _sender(self, url: str) -> Sender:
        if self._own is not None:
            return self._own
        loop = anyio.lowlevel.current_token()
        if self._loop != loop:  # connections live and die with their event loop: asyncio.run was called again
            self._senders, self._loop = {}, loop
        local = is_plain_loopback(url)
        if local not in self._senders:
            made = await new_sender(url, self.settings)
            self._senders.setdefault(local, made)
        return self._senders[local]
