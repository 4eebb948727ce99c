"""Sending requests. The only file of this layer that imports httpx2.

`SyncHTTP` and `AsyncHTTP` only send and wait; what there is to decide is written once, in `wire.py` and in `_Tries`.

Time limits: `timeout_s` bounds every single wait (connect at most `CONNECT_TIMEOUT_S`, write, read). The limit on silence
within a stream, where comments don't count as data, is kept by the stream objects, which see the events. A deadline, where
there is one, is looked at before every wait and whenever data arrives.
"""

from __future__ import annotations

import functools
import os
import random
import ssl
import threading
import time
import urllib.request
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx2

from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    TinyAgentsError,
    UsageError,
    public_url,
    redact,
    redact_addresses,
)
from tiny_agents.inference.call import Request, Response
from tiny_agents.inference.deadline import NO_DEADLINE, Deadline
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.wire import (
    RETRIED_STATUS,
    error_of,
    is_loopback,
    is_redirect,
    loading_delay,
    redirected,
    retry_delay,
    secrets_of,
    silence,
    wire_headers,
)

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5
ERROR_BODY_LIMIT = 64 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
"""The largest answer that is read as a whole: images, sounds and films are, weights of models are not."""
SLOWEST_BYTES_PER_S = 1000
"""What sends less for longer than the limit on silence is as good as silent."""


OwnClient: TypeAlias = httpx2.Client | httpx2.AsyncClient
"""What `http_client=` takes: the user's own, with its own proxies, certificates and pool."""

OwnT = TypeVar("OwnT", httpx2.Client, httpx2.AsyncClient)


@dataclass(frozen=True, slots=True)
class HTTPSettings:
    """What holds for every request of a client.

    Attributes:
        timeout_s: Seconds any single wait may take.
        max_retries: Further tries after one that failed in passing (`RETRIED_STATUS`, no connection).
        trust_env: Whether proxies are taken from the environment; loopback addresses never go through one.
        follow_redirects: False hands a redirect over as the answer (the Hub describes a file in one).
        proxies: Address of the proxy by pattern of the URL ("all://", "https://", "http://host"); None is a direct
            connection. Loopback addresses never go through one.
    """

    timeout_s: float = 300.0
    max_retries: int = 2
    trust_env: bool = True
    follow_redirects: bool = True
    proxies: Mapping[str, str | None] = field(default_factory=dict, repr=False)


def translate(
    error: Exception, request: Request, timeout_s: float, deadline: Deadline = NO_DEADLINE
) -> TinyAgentsError:
    """What an exception of the HTTP library becomes. What a server sent may be in it: our keys are taken out of both."""
    where = public_url(request.url)
    _mask(error, secrets_of(request))
    if isinstance(error, httpx2.TimeoutException) and deadline.left_s <= 0:
        return deadline.passed(where)
    if isinstance(error, httpx2.ConnectTimeout):
        limit = min(timeout_s, CONNECT_TIMEOUT_S)
        return InferenceTimeoutError(f"{where} could not be reached within {limit:g} s.", timeout_s=limit)
    if isinstance(error, httpx2.TimeoutException):
        return InferenceTimeoutError(silence(where, timeout_s), timeout_s=timeout_s)
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        return UsageError(f"{where!r} is no address that can be asked: {error}")
    if isinstance(error, httpx2.DecodingError):
        return InvalidResponseError(f"{where} sent a body that can't be decompressed: {error}")
    if isinstance(error, httpx2.ConnectError):
        reason = str(error) or type(error).__name__
        advice = "Is the server running?"
        if "CERTIFICATE" in reason.upper():
            advice = "Its certificate is not trusted here: SSL_CERT_FILE can name a file of certificates to trust."
        return InferenceConnectionError(f"{where} can't be reached: {reason}. {advice}", url=where)
    reason = str(error).rstrip(".") or type(error).__name__
    return InferenceConnectionError(f"The connection to {where} broke: {reason}.", url=where)


@dataclass(frozen=True, slots=True)
class _Address:
    """Where a request goes, as httpx2 is told.

    httpx2 logs the URL of each request. What is secret in one (a password, a key in its query) isn't in `url`, but is put in
    where the request goes out.
    """

    url: str
    extensions: dict[str, Any] = field(default_factory=dict, repr=False)
    auth: dict[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, url: str) -> _Address:
        if ("?" not in url and "@" not in url) or redact_addresses(url) == url:
            return cls(url)
        whole = httpx2.URL(url)
        auth = {"auth": httpx2.BasicAuth(whole.username, whole.password)} if whole.userinfo else {}
        return cls(public_url(url), {"target": whole.raw_path}, auth)


def without_request(error: Exception) -> Exception:
    """`error`, to be the cause of one of ours, without the request that it carries: there are keys in that."""
    if isinstance(error, httpx2.RequestError) and error._request is not None:
        error.request = httpx2.Request(error.request.method, public_url(str(error.request.url)))
    return error


def _mask(error: BaseException | None, secrets: list[str]) -> None:
    """Take secrets out of an error and of those that led to it, which a traceback shows."""
    while error is not None:
        said = str(error)
        if (shown := redact(said, secrets)) != said:
            error.args = (shown,)
        error = error.__cause__ or error.__context__


@functools.cache
def trust_store() -> ssl.SSLContext:
    """One for the process: loading the certificates takes longer than everything else a client does to start."""
    try:
        return httpx2.create_ssl_context()
    except OSError as error:  # one of them is ssl.SSLError
        named = [f"{name}={value}" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if (value := os.environ.get(name))]
        where = " and ".join(named) or "the system's"
        raise UsageError(f"The certificates to trust can't be read ({where}): {error}") from error


@functools.cache
def _no_trust() -> ssl.SSLContext:
    """For plain http: loads nothing, and would accept nobody."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trust_for(url: str) -> ssl.SSLContext:
    """Whom a client for `url` trusts: the system's authorities, or those of SSL_CERT_FILE. One for the process."""
    return _no_trust() if is_loopback(url) and url.startswith("http:") else trust_store()


def direct_transport(url: str, *, trust_env: bool = True) -> httpx2.AsyncBaseTransport | None:
    """What sends faster than httpx2 itself does; None where a proxy may stand between us and `url`."""
    if trust_env and not is_loopback(url) and urllib.request.getproxies():
        return None
    from tiny_agents.inference.http1.transport import Transport

    return Transport(trust_for(url))


def _client_options(url: str, settings: HTTPSettings, transport: Callable[..., Any]) -> dict[str, Any]:
    """Arguments of an httpx2 client for `url`; `transport` makes the connections through a proxy."""
    local = is_loopback(url)
    shared = {
        "verify": trust_for(url),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=100),
    }
    if local:
        return {**shared, "trust_env": False}
    try:
        mounts = {
            pattern: None if address is None else transport(proxy=address, **shared)
            for pattern, address in settings.proxies.items()
        }
    except ImportError as error:
        raise UsageError("A SOCKS proxy needs the package 'socksio': pip install 'httpx2[socks]'.") from error
    # Those of the environment are for more particular patterns, and would win.
    return {**shared, "trust_env": settings.trust_env and not mounts, "mounts": mounts}


def _waits(settings: HTTPSettings, deadline: Deadline) -> httpx2.Timeout:
    longest = max(0.001, min(settings.timeout_s, deadline.left_s))
    return httpx2.Timeout(longest, connect=min(longest, CONNECT_TIMEOUT_S))


def _checked_own(client: OwnClient | None, wanted: type[OwnT]) -> OwnT | None:
    if client is None or isinstance(client, wanted):
        return client
    raise UsageError(
        f"http_client must be an httpx2.{wanted.__name__} here; got {type(client).__module__}.{type(client).__name__}."
    )


def _content(request: Request) -> bytes | None:
    return encode_json(request.json) if request.json is not None else request.body


def _needs_decoding(response: httpx2.Response) -> bool:
    """Compressed, or read already by the transport; the raw bytes are cheaper where neither is so."""
    return "content-encoding" in response.headers or response.is_stream_consumed


def _lower(headers: httpx2.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


_PASSING = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""Failures before the answer began that another try may not meet. A read that timed out is not among them: the model may
be working on it."""


@dataclass(slots=True)
class _Tries:
    """The decisions of one sending: how often, how long to wait, where next. Both senders ask it."""

    request: Request
    settings: HTTPSettings
    deadline: Deadline = NO_DEADLINE
    attempt: int = 0
    redirects: int = 0
    loading_until: float | None = None  # monotonic clock

    @property
    def _more_tries(self) -> bool:
        return self.attempt < self.settings.max_retries and not self.request.once

    @property
    def limit_s(self) -> float:
        """Seconds that the next try may take to come to an answer's beginning."""
        return max(0.001, min(self.settings.timeout_s, self.deadline.left_s))

    def begin(self) -> httpx2.Timeout:
        """The limits of the next try. Raises InferenceTimeoutError if there is no time for one."""
        if self.deadline.limited:
            self.deadline.check(public_url(self.request.url))
        return _waits(self.settings, self.deadline)

    def after_error(self, error: Exception) -> float:
        """Seconds to the next try. Raises the translated error where there is none."""
        if isinstance(error, _PASSING) and self._more_tries:
            delay = retry_delay(self.attempt, {}, now=0.0, jitter=random.random()) or 0.0
            self.attempt += 1
            if delay < self.deadline.left_s:
                return delay
        raise translate(error, self.request, self.settings.timeout_s, self.deadline) from without_request(error)

    def after_status(self, status: int, headers: Mapping[str, str], body: bytes) -> float:
        """Seconds to the next try. Raises the error that the server answered with where there is none."""
        delay = self._loading(status, body)
        if delay is None and status in RETRIED_STATUS and self._more_tries:
            delay = retry_delay(self.attempt, headers, now=time.time(), jitter=random.random())
            self.attempt += 1
        if delay is None or delay >= self.deadline.left_s:
            raise error_of(self.request, status, headers, body)
        return delay

    def _loading(self, status: int, body: bytes) -> float | None:
        """A model that is being loaded is waited for, as long as the deadline or else the limit on silence allows."""
        delay = loading_delay(status, body)
        if delay is None or self.request.once or self.settings.max_retries == 0:
            return None
        now = time.monotonic()
        if self.loading_until is None:
            self.loading_until = self.deadline.ends_at if self.deadline.limited else now + self.settings.timeout_s
        return delay if now + delay < self.loading_until else None

    def follow(self, status: int, headers: Mapping[str, str]) -> None:
        self.redirects += 1
        if self.redirects > MAX_REDIRECTS:
            where = public_url(self.request.url)
            raise ProviderError(f"{where}: more than {MAX_REDIRECTS} redirects.", status=status, url=where)
        self.request = redirected(self.request, status, headers["location"])


class _Answer:
    """What is known of an answer before its body is read."""

    def __init__(self, response: httpx2.Response, tries: _Tries) -> None:
        self.status = response.status_code
        self.headers = _lower(response.headers)
        self.url = tries.request.url  # that of the response lacks what isn't to be logged
        self.request = tries.request
        self.timeout_s = tries.settings.timeout_s
        self.deadline = tries.deadline
        self._limited = tries.deadline.limited
        self._response = response

    def _check_body(self, size: int, since: float) -> None:
        where = public_url(self.url)
        if size > MAX_BODY_BYTES:
            raise InvalidResponseError(f"{where} sent more than {MAX_BODY_BYTES:,} bytes; the answer was given up.")
        if time.monotonic() - since > self.timeout_s + size / SLOWEST_BYTES_PER_S:
            raise InferenceTimeoutError(
                f"{where} sent {size:,} bytes in {time.monotonic() - since:.0f} s; the answer was given up.",
                timeout_s=self.timeout_s,
            )


# ---------------------------------------------------------------- sync


class SyncResponseStream(_Answer):
    """An open, successful answer. Closed when read to its end, by `close`, or by leaving its `with` block.

    `data` gives the bytes as they arrive. It is one iterator: a loop that stops can be gone on with.
    """

    def __init__(self, response: httpx2.Response, tries: _Tries, sender: SyncHTTP) -> None:
        super().__init__(response, tries)
        self._sender = sender  # which closes its connections when nobody needs it any more
        raw = response.stream  # as it comes: `iter_raw` would cut and count it
        assert isinstance(raw, httpx2.SyncByteStream)
        self._chunks = response.iter_bytes() if _needs_decoding(response) else iter(raw)
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
        self._own = _checked_own(own, httpx2.Client)
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
        tries = _Tries(request, self.settings, deadline)
        content = _content(request)
        while True:
            try:
                response = self._send_once(tries, content, stream)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                time.sleep(tries.after_error(error))
                continue
            status, headers = response.status_code, _lower(response.headers)
            if 200 <= status < 300 or (is_redirect(status, headers) and not self.settings.follow_redirects):
                return SyncResponseStream(response, tries, self)
            if is_redirect(status, headers):
                response.close()
                tries.follow(status, headers)
                continue
            body = self._error_body(response, tries)
            time.sleep(tries.after_status(status, headers, body))

    def _send_once(self, tries: _Tries, content: bytes | None, stream: bool) -> httpx2.Response:
        request = tries.request
        client = self._client(request.url)
        headers = wire_headers(request, stream=stream)
        address = _Address.of(request.url)
        built = client.build_request(
            request.method,
            address.url,
            content=content,
            headers=headers,
            timeout=tries.begin(),
            extensions=address.extensions,
        )
        return client.send(built, stream=True, follow_redirects=False, **address.auth)

    def _error_body(self, response: httpx2.Response, tries: _Tries) -> bytes:
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
                self._clients[local] = httpx2.Client(**_client_options(url, self.settings, httpx2.HTTPTransport))
            return self._clients[local]


# ---------------------------------------------------------------- async


class AsyncResponseStream(_Answer):
    """An open, successful answer. Closed when read to its end, by `aclose`, or by leaving its `async with` block.

    `data` gives the bytes as they arrive. It is one iterator: a loop that stops can be gone on with.
    """

    def __init__(self, response: httpx2.Response, tries: _Tries) -> None:
        super().__init__(response, tries)
        raw = response.stream  # as it comes: `aiter_raw` would cut and count it
        assert isinstance(raw, httpx2.AsyncByteStream)
        self._chunks = response.aiter_bytes() if _needs_decoding(response) else aiter(raw)
        self._closed = False
        self.data = self._read()

    async def _read(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._chunks:
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
            await self._response.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class AsyncHTTP:
    """Sends requests from tasks; connections are kept and shared. `own` is used where given, and never closed."""

    def __init__(self, settings: HTTPSettings | None = None, *, own: OwnClient | None = None) -> None:
        self.settings = settings or HTTPSettings()
        self._own = _checked_own(own, httpx2.AsyncClient)
        self._clients: dict[bool, httpx2.AsyncClient] = {}
        self._loop: object = None

    async def send(self, request: Request, deadline: Deadline = NO_DEADLINE) -> Response:
        """Send and read the whole answer. Raises the errors of `open`."""
        async with await self._open(request, deadline, stream=False) as stream:
            return Response(stream.status, stream.headers, await stream.body(), stream.url)

    async def open(self, request: Request, deadline: Deadline = NO_DEADLINE) -> AsyncResponseStream:
        """Send and hand over the answer while it still arrives.

        Raises:
            ProviderError: An error status, after the tries that `max_retries` allows.
            InferenceConnectionError, InferenceTimeoutError: No answer.
        """
        return await self._open(request, deadline, stream=True)

    async def aclose(self) -> None:
        clients = list(self._clients.values())
        self._clients.clear()
        if self._loop == anyio.lowlevel.current_token():  # of a loop that has ended, there is nothing left to close
            for client in clients:
                await client.aclose()

    async def _open(self, request: Request, deadline: Deadline, *, stream: bool) -> AsyncResponseStream:
        tries = _Tries(request, self.settings, deadline)
        content = _content(request)
        while True:
            try:
                response = await self._send_once(tries, content, stream)
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                await anyio.sleep(tries.after_error(error))
                continue
            status, headers = response.status_code, _lower(response.headers)
            if 200 <= status < 300 or (is_redirect(status, headers) and not self.settings.follow_redirects):
                return AsyncResponseStream(response, tries)
            if is_redirect(status, headers):
                await response.aclose()
                tries.follow(status, headers)
                continue
            body = await self._error_body(response, tries)
            await anyio.sleep(tries.after_status(status, headers, body))

    async def _send_once(self, tries: _Tries, content: bytes | None, stream: bool) -> httpx2.Response:
        request = tries.request
        client = await self._client(request.url)
        headers = wire_headers(request, stream=stream)
        address = _Address.of(request.url)
        built = client.build_request(
            request.method,
            address.url,
            content=content,
            headers=headers,
            timeout=tries.begin(),
            extensions=address.extensions,
        )
        # A single read has its limit; here they all have one together: a head may come byte by byte, or never end.
        limit_s = tries.limit_s + len(content or b"") / SLOWEST_BYTES_PER_S
        with anyio.move_on_after(limit_s):
            return await client.send(built, stream=True, follow_redirects=False, **address.auth)
        raise httpx2.ReadTimeout(f"no answer within {limit_s:g} s", request=built)

    async def _error_body(self, response: httpx2.Response, tries: _Tries) -> bytes:
        body, until = b"", time.monotonic() + tries.limit_s
        try:
            async for data in response.aiter_bytes():
                body += data
                if len(body) > ERROR_BODY_LIMIT or time.monotonic() > until:
                    break
        except httpx2.HTTPError as error:
            body = body or f"(its text could not be read: {type(error).__name__})".encode()
        finally:
            await response.aclose()
        return body

    async def _client(self, url: str) -> httpx2.AsyncClient:
        if self._own is not None:
            return self._own
        loop = anyio.lowlevel.current_token()
        if self._loop != loop:  # connections live and die with their event loop: asyncio.run was called again
            self._clients, self._loop = {}, loop
        local = is_loopback(url) and url.startswith("http:")
        if local not in self._clients:
            if not local:
                await anyio.to_thread.run_sync(trust_store)  # reads files for some 50 ms, once in a process
            self._clients.setdefault(local, self._new_client(url))
        return self._clients[local]

    def _new_client(self, url: str) -> httpx2.AsyncClient:
        direct = None if self.settings.proxies else direct_transport(url, trust_env=self.settings.trust_env)
        if direct is not None:
            return httpx2.AsyncClient(transport=direct, trust_env=False)
        return httpx2.AsyncClient(**_client_options(url, self.settings, httpx2.AsyncHTTPTransport))
