"""The HTTP client that remote servers are spoken to through.

The SDK tells its caller little about a message that could not be delivered: a refused connection ends its whole transport,
a status becomes "Server returned an error response", an endless answer fills the memory. So failures are made into
JSON-RPC errors here, one per message, which say what happened and whether the server can have acted on it. Imported only
when a remote server is opened.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx2

from tiny_agents.errors import redact
from tiny_agents.inference.http.tries import without_request
from tiny_agents.mcp_client.connection.watch import CODE_BROKEN, CODE_REFUSED, CODE_UNREACHABLE, Refused, Watch
from tiny_agents.mcp_client.oauth.flow import LoginFailed
from tiny_agents.mcp_client.protocol.messages import encode
from tiny_agents.mcp_client.tools.mending import PairMender, mended_text
from tiny_agents.mcp_client.transports.answers import bounded_body, origin
from tiny_agents.mcp_client.transports.bounds import MAX_VALUES, too_many_values
from tiny_agents.mcp_client.transports.framing import read_message
from tiny_agents.mcp_client.transports.unpacking import ACCEPTED, unpacked

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Longest JSON answer, and largest event of a streamed one, as much as a line of a stdio server."""

MAX_ERROR_BYTES = 1024 * 1024
MAX_REDIRECTS = 5
NOTICE_S = 2.0  # for what expects no answer, such as the end of a session; the server may be the reason why we leave

LISTEN_S = 0.5
"""How long the server's own stream of messages is waited for at the beginning of a session."""

PACE_S = 30.0
FREE_STREAMS = 3  # within so many seconds
MAX_PAUSE_S = 2.0

DRAIN_S = 0.5
DRAIN_BYTES = 64 * 1024
"""How long the end of an answer's stream is waited for, and how much may come before it."""

_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")  # what is read has been unpacked

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class WatchedClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that has an answer to every message, if need be its own, and reports to a `Watch`.

    What is secret in the server's URL (a key in its query, a password) is in no request's URL, because httpx2 and the SDK
    write those to their logs: it is put in where the request goes out.

    Attributes:
        url: The server's, as requests have it.
    """

    def __init__(self, watch: Watch, url: str, **options: Any) -> None:
        whole = httpx2.URL(url)
        password = httpx2.BasicAuth(whole.username, whole.password) if whole.userinfo else None
        super().__init__(auth=password, **options)
        self.headers["accept-encoding"] = ACCEPTED
        self._pace = Pace()
        self.url = str(whole.copy_with(userinfo=b"", query=None, fragment=None))
        self._path, self._query = whole.raw_path, whole.query
        self._watch = watch
        self._has_session = False
        self._listened = asyncio.Event()

    async def listening(self) -> None:
        """Wait until the server's own stream is open, or known not to be: what it asks there before that would be lost."""
        if self._has_session:  # without one, nobody opens it
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_S):
                    await self._listened.wait()

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        self._hide_query(request)
        try:
            await request.aread()  # that of a redirect has its content as a stream
            if request.method == "GET":  # carries no message; whoever listens deals with it
                return await self._listen(request, stream=stream, **options)
            async with asyncio.timeout(NOTICE_S if is_notice(request) else None):
                response = unpacked(await super().send(request, stream=True, **options))
                answer = await self._answer(request, response)
                return answer if stream else await _read(answer)
        except LoginFailed as failure:
            self._watch.status, self._watch.denied = 401, redact(str(failure), self._watch.secrets)
            return _error(request, 401, CODE_REFUSED, f"the server {self._watch.denied}")
        except (httpx2.RequestError, TimeoutError) as error:
            if request.method == "GET":
                raise
            reason = self._watch.trouble = str(error) or type(error).__name__
            code = CODE_UNREACHABLE if isinstance(error, _NEVER_SENT) else CODE_BROKEN
            return _error(request, 503, code, f"could not be reached ({reason})")

    async def _listen(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        await asyncio.sleep(self._pace.delay(asyncio.get_running_loop().time()))
        try:
            return unpacked(await super().send(request, **options))
        finally:
            self._listened.set()

    def _hide_query(self, request: httpx2.Request) -> None:
        """Send the query of the server's URL, and what a redirect made of it, without having it in `request.url`."""
        request.extensions.pop("target", None)  # a redirect's request has that of the first
        if not self._query:
            return
        if str(request.url) == self.url:
            request.extensions["target"] = self._path
        elif request.url.query == self._query:
            request.extensions["target"] = request.url.raw_path
            request.url = request.url.copy_with(query=None)

    async def open_events(self) -> httpx2.Response:
        """The server's stream of server-sent events; redirects are followed as long as they stay with the same host.

        Raises:
            Refused: There is none at this URL, or nobody.
        """
        request = self.build_request(
            "GET", self.url, headers={"accept": "text/event-stream", "cache-control": "no-store"}
        )
        for _ in range(MAX_REDIRECTS):
            try:
                response = await self.send(request, stream=True, follow_redirects=False)
            except httpx2.TransportError as error:
                self._watch.trouble = str(error) or type(error).__name__
                raise Refused(self._watch.trouble) from without_request(error)
            following = response.next_request
            if following is None and response.status_code < 400:
                return response
            await response.aclose()
            if following is None:
                self._watch.status = response.status_code
                raise Refused(f"HTTP {response.status_code}")
            if origin(following.url) != origin(request.url):
                raise Refused(f"Redirect to {origin(following.url)} not followed; use its URL if you trust it")
            request = following
        raise Refused("too many redirects")

    async def _answer(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        status = response.status_code
        if status >= 400:
            return await self._refused(request, response)
        self._watch.status, self._watch.trouble, self._watch.denied = None, "", ""
        if status >= 300:
            return await _redirect(request, response)
        session = response.headers.get("mcp-session-id", "")
        if not (session.isascii() and session.isprintable()):
            await response.aclose()
            return _error(request, 502, CODE_REFUSED, "its session id can't be sent back: it isn't printable ASCII")
        self._has_session = self._has_session or bool(session)
        kind = response.headers.get("content-type", "").lower()
        if kind.startswith("text/event-stream"):
            kept = {name: value for name, value in response.headers.multi_items() if name not in _OF_THE_WIRE}
            return httpx2.Response(status, headers=kept, stream=_MendedEvents(response), request=request)
        if status in (202, 204) or not (kind.startswith("application/json") or kind in ("", "text/plain")):
            return response
        body = await bounded_body(response, MAX_ANSWER_BYTES)
        if body is None:
            problem = f"the answer is too long: at most {MAX_ANSWER_BYTES:,} bytes are read"
            return _error(request, 500, CODE_REFUSED, problem)
        if too_many_values(body):
            return _error(request, 500, CODE_REFUSED, f"the answer holds more than {MAX_VALUES:,} values")
        kept = {"content-type": "application/json", **({"mcp-session-id": session} if session else {})}
        return httpx2.Response(status, headers=kept, content=self._mended(request, body), request=request)

    def _mended(self, request: httpx2.Request, body: bytes) -> bytes:
        """The body of an answer as its request wants it: it has the request's id, whatever its server wrote there."""
        asked = message_id(request.content)
        if asked is None or len(body) > MAX_ERROR_BYTES or not body.lstrip().startswith(b"{"):
            return mended_text(body)
        message = read_message(body, self._watch)
        if message is None or "method" in message:
            return mended_text(body)
        return encode({**message, "id": asked})

    async def _refused(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """A status of 400 or more: kept if it carries a JSON-RPC error, put into words if not."""
        status = self._watch.status = response.status_code
        self._watch.denied = ""
        body = await bounded_body(response, MAX_ERROR_BYTES)
        if status == 404 and "mcp-session-id" in request.headers:
            return _error(request, status, CODE_UNREACHABLE, "has ended the session")
        if body is not None and _is_rpc_error(body):
            headers = {"content-type": "application/json"}
            return httpx2.Response(status, headers=headers, content=body, request=request)
        shown = f"HTTP {status} {response.reason_phrase}".rstrip()
        return _error(request, status, CODE_REFUSED, f"the server answered {shown}")


class _MendedEvents(httpx2.AsyncByteStream):
    """The events of an answer, in which halves of characters are mended as they come.

    The SDK closes an answer's stream at the answer, before its end, and with it the TCP connection: the next call would
    have to make one anew. So once there was an answer, what follows it is read, for a moment; nobody waits for that, as it
    is done in the task that sent the message.
    """

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self._chunks = response.aiter_bytes()
        self._answered = self._ended = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        mender = PairMender()
        async for data in self._chunks:
            self._answered = self._answered or b'"result"' in data or b'"error"' in data
            yield mender.feed(data)
        self._ended = True
        yield mender.end()

    async def aclose(self) -> None:
        try:
            if self._answered and not self._ended and not _is_being_cancelled():
                await self._read_rest()
        finally:
            await self._response.aclose()

    async def _read_rest(self) -> None:
        left = DRAIN_BYTES
        try:
            async with asyncio.timeout(DRAIN_S):
                async for data in self._chunks:
                    left -= len(data)
                    if left < 0:
                        return
        except (TimeoutError, httpx2.RequestError):
            return  # then it is closed as it is


def _is_being_cancelled() -> bool:
    """Whether a call was given up: its server learns that from the closed connection."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Pace:
    """How long to wait before a stream is opened again: a server that ends them at once must not make us hammer it."""

    def __init__(self) -> None:
        self._opened: deque[float] = deque(maxlen=20)

    def delay(self, now: float) -> float:
        """Seconds to wait now, before the stream is opened."""
        lately = sum(now - opened < PACE_S for opened in self._opened)
        delay_s = 0.0 if lately < FREE_STREAMS else min(0.25 * 2 ** (lately - FREE_STREAMS), MAX_PAUSE_S)
        self._opened.append(now + delay_s)
        return delay_s


async def _read(response: httpx2.Response) -> httpx2.Response:
    """The response with its body, of which no more is kept than an error may have."""
    if not response.is_stream_consumed and not response.is_closed:
        body = await bounded_body(response, MAX_ERROR_BYTES)
        kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_WIRE]
        return httpx2.Response(response.status_code, headers=kept, content=body or b"", request=response.request)
    return response


def message_id(body: bytes) -> int | str | None:
    """The id of a request of ours; None of a notice."""
    try:
        message = json.loads(body)
    except ValueError:
        return None
    id = message.get("id") if isinstance(message, dict) and "method" in message else None
    return id if isinstance(id, (int, str)) else None


def is_notice(request: httpx2.Request) -> bool:
    """Whether nobody waits for the answer. The SDK sends notifications one after the other, and calls after them."""
    if request.method == "POST":
        return b'"method":"notifications/' in request.content[:200]
    return request.method == "DELETE"


def _error(request: httpx2.Request, status: int, code: int, message: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(status, json=error, request=request)


async def _redirect(request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
    """A redirect without its body, which may be endless. The SDK follows it within the server's origin, or says so."""
    await response.aclose()
    if response.next_request is None:
        status = response.status_code
        return _error(request, 502, CODE_REFUSED, f"the server answered HTTP {status} and doesn't say where to go")
    kept = {"location": response.headers["location"]}
    bare = httpx2.Response(response.status_code, headers=kept, request=request)
    bare.next_request = response.next_request
    return bare


def _is_rpc_error(body: bytes) -> bool:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("jsonrpc") == "2.0" and isinstance(message.get("error"), dict)
