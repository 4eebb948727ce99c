"""`SyncHTTP`: sending from threads."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Self

import httpx2

from tiny_agents.errors import public_url
from tiny_agents.inference.call import Request, Response
from tiny_agents.inference.deadline import NO_DEADLINE, Deadline
from tiny_agents.inference.http.answer import Answer
from tiny_agents.inference.http.clients import Address, OwnClient, checked_own, client_options, lower, needs_decoding
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.http.tries import ERROR_BODY_LIMIT, Tries, content_of, timeout, translate, without_request
from tiny_agents.inference.wire import is_loopback, is_redirect, wire_headers


class SyncResponseStream(Answer):
    """An open, successful answer. Closed when read to its end, by `close`, or by leaving its `with` block.

    `data` gives the bytes as they arrive. It is one iterator: a loop that stops can be gone on with.
    """

    def __init__(self, response: httpx2.Response, tries: Tries, sender: SyncHTTP) -> None:
        super().__init__(response.status_code, lower(response.headers), tries)
        self._response = response
        self._sender = sender  # which closes its connections when nobody needs it any more
        raw = response.stream  # as it comes: `iter_raw` would cut and count it
        assert isinstance(raw, httpx2.SyncByteStream)
        self._chunks = response.iter_bytes() if needs_decoding(response) else iter(raw)
        self.data = self._read()

    def _read(self) -> Iterator[bytes]:
        try:
            for data in self._chunks:
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
        self._response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close_all(clients: dict[bool, httpx2.Client]) -> None:
    while clients:
        clients.popitem()[1].close()


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
        self._own = checked_own(own, httpx2.Client)
        self._clients: dict[bool, httpx2.Client] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close_all, self._clients)

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
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _open(self, request: Request, deadline: Deadline, *, stream: bool) -> SyncResponseStream:
        tries = Tries(request, self.settings, deadline)
        content = content_of(request)
        while True:
            try:
                response = self._send_once(tries, content, stream)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                time.sleep(tries.after_error(error))
                continue
            status, headers = response.status_code, lower(response.headers)
            if 200 <= status < 300 or (is_redirect(status, headers) and not self.settings.follow_redirects):
                return SyncResponseStream(response, tries, self)
            if is_redirect(status, headers):
                response.close()
                tries.follow(status, headers)
                continue
            body = self._error_body(response, tries)
            time.sleep(tries.after_status(status, headers, body))

    def _send_once(self, tries: Tries, content: bytes | None, stream: bool) -> httpx2.Response:
        request = tries.request
        client = self._client(request.url)
        headers = wire_headers(request, stream=stream)
        address = Address.of(request.url)
        built = client.build_request(
            request.method,
            address.url,
            content=content,
            headers=headers,
            timeout=timeout(tries.begin()),
            extensions=address.extensions,
        )
        return client.send(built, stream=True, follow_redirects=False, **address.auth)

    def _error_body(self, response: httpx2.Response, tries: Tries) -> bytes:
        body, until = b"", time.monotonic() + tries.limit_s
        try:
            for data in response.iter_bytes():
                body += data
                if len(body) > ERROR_BODY_LIMIT or time.monotonic() > until:
                    break
        except httpx2.HTTPError as error:
            body = body or f"(its text could not be read: {type(error).__name__})".encode()
        finally:
            response.close()
        return body

    def _client(self, url: str) -> httpx2.Client:
        if self._own is not None:
            return self._own
        local = is_loopback(url) and url.startswith("http:")
        with self._lock:
            if local not in self._clients:
                self._clients[local] = httpx2.Client(**client_options(url, self.settings, httpx2.HTTPTransport))
            return self._clients[local]
