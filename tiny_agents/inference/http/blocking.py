"""`SyncHTTP`: sending from threads."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from typing import Self

import httpx2
from msgspec.structs import replace

from tiny_agents.errors import public_url
from tiny_agents.inference.call import Request, Response
from tiny_agents.inference.deadline import NO_DEADLINE, Deadline
from tiny_agents.inference.http.answer import Answer
from tiny_agents.inference.http.blocking_senders import (
    BlockingClientSender,
    BlockingReply,
    BlockingSender,
    new_blocking_sender,
)
from tiny_agents.inference.http.clients import OwnClient, checked_own
from tiny_agents.inference.http.outgoing import waits
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.tries import (
    ERROR_BODY_LIMIT,
    Tries,
    content_of,
    translate,
    without_request,
)
from tiny_agents.inference.wire import is_plain_loopback, is_redirect, wire_headers


class SyncResponseStream(Answer):
    """An open, successful answer. Closed when read to its end, by `close`, or by leaving its `with` block.

    `data` gives the bytes as they arrive. It is one iterator: a loop that stops can be gone on with.
    """

    def __init__(self, reply: BlockingReply, tries: Tries, http: SyncHTTP) -> None:
        super().__init__(reply.status, reply.headers, tries)
        self._reply = reply
        self._http = http  # which closes its connections when nobody needs it any more
        self.data = self._read()

    def _read(self) -> Iterator[bytes]:
        try:
            for data in self._reply.data:
                if self._limited and self.deadline.left_s <= 0:
                    self.close()
                    raise self.deadline.passed(public_url(self.url))
                yield data
        except httpx2.HTTPError as error:
            self.close()
            raise translate(error, self.request, self.timeout_s, self.deadline) from without_request(error)
        self.close()

    def body(self) -> bytes:
        """All of it. Raises an InferenceError where it is too large, or comes too slowly."""
        since, pieces, size = time.monotonic(), [], 0
        for data in self.data:
            pieces.append(data)
            size += len(data)
            self._check_body(size, since)
        return b"".join(pieces)

    def close(self) -> None:
        self._reply.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(senders: dict[bool, BlockingSender]) -> None:
    while senders:
        senders.popitem()[1].close()


class SyncHTTP:
    """Sends requests from threads; connections are kept and shared. `own` is used where given, and never closed.

    Connections that nobody closed are closed when the sender is dropped.
    """

    def __init__(
        self,
        settings: HTTPSettings | None = None,
        *,
        timeout_s: float | None = None,
        own: OwnClient | None = None,
    ) -> None:
        settings = settings or HTTPSettings()
        self.settings = settings if timeout_s is None else replace(settings, timeout_s=timeout_s)
        own_client = checked_own(own, httpx2.Client)
        self._own = None if own_client is None else BlockingClientSender(own_client)
        self._senders: dict[bool, BlockingSender] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._senders)

    def send(self, request: Request, deadline: Deadline = NO_DEADLINE) -> Response:
        """Send and read the whole answer. Raises the errors of `open`."""
        with self._open(request, deadline, stream=False) as stream:
            return Response(stream.status, stream.headers, stream.body(), stream.url)

    def open(self, request: Request, deadline: Deadline = NO_DEADLINE) -> SyncResponseStream:
        """Send and hand over the answer while it still arrives.

        Raises:
            ProviderError: An error status, after the tries that `max_retries` allows.
            InferenceConnectionError, InferenceTimeoutError: No answer.
        """
        return self._open(request, deadline, stream=True)

    def close(self) -> None:
        with self._lock:
            senders = list(self._senders.values())
            self._senders.clear()
        for sender in senders:
            sender.close()

    def _open(self, request: Request, deadline: Deadline, *, stream: bool) -> SyncResponseStream:
        tries = Tries(request, self.settings, deadline)
        content = content_of(request)
        while True:
            try:
                reply = self._send_once(tries, content, stream)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                time.sleep(tries.after_error(error))
                continue
            if 200 <= reply.status < 300:
                return SyncResponseStream(reply, tries, self)
            if is_redirect(reply.status, reply.headers):
                if not self.settings.follow_redirects:
                    return SyncResponseStream(reply, tries, self)
                reply.close()
                tries.follow(reply.status, reply.headers)
                continue
            body = self._error_body(reply, tries)
            time.sleep(tries.after_status(reply.status, reply.headers, body))

    def _send_once(self, tries: Tries, content: bytes | None, stream: bool) -> BlockingReply:
        request = tries.request
        sender = self._sender(request.url)
        headers = wire_headers(request, stream=stream)
        return sender.send(request, headers, content, waits(tries.begin(), content))

    def _error_body(self, reply: BlockingReply, tries: Tries) -> bytes:
        body, until = b"", time.monotonic() + tries.limit_s
        try:
            for data in reply.data:
                body += data
                if len(body) > ERROR_BODY_LIMIT or time.monotonic() > until:
                    break
        except httpx2.HTTPError as error:
            body = body or f"(its text could not be read: {type(error).__name__})".encode()
        finally:
            reply.close()
        return body

    def _sender(self, url: str) -> BlockingSender:
        if self._own is not None:
            return self._own
        local = is_plain_loopback(url)
        with self._lock:
            if local not in self._senders:
                self._senders[local] = new_blocking_sender(url, self.settings)
            return self._senders[local]
