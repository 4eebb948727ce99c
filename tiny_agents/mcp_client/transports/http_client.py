"""The HTTP client that remote servers are spoken to through.

Whatever keeps a message from being delivered is an `RpcError` here, one per message, which says what happened and whether
the server can have acted on it. Imported only when a remote server is opened.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Mapping
from typing import Any

import httpx2

from tiny_agents.errors import redact
from tiny_agents.inference.http.tries import without_request
from tiny_agents.mcp_client.connection.watch import CODE_BROKEN, CODE_REFUSED, CODE_UNREACHABLE, Refused, Watch
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.protocol.messages import Message, RpcError, is_whole
from tiny_agents.mcp_client.text import encodable_json
from tiny_agents.mcp_client.transports.answers import bounded_body, origin
from tiny_agents.mcp_client.transports.bounds import MAX_VALUES, too_many_values
from tiny_agents.mcp_client.transports.framing import read_message
from tiny_agents.mcp_client.transports.unpacking import ACCEPTED, unpacked

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Longest JSON answer, and largest event of a streamed one, as much as a line of a stdio server."""

MAX_ERROR_BYTES = 1024 * 1024
MAX_REDIRECTS = 5
NOTICE_S = 2.0  # for what expects no answer, such as the end of a session; the server may be the reason why we leave

PACE_S = 30.0
FREE_STREAMS = 3  # within so many seconds
MAX_PAUSE_S = 2.0

_HURRIED = "tiny_agents.hurried"
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class RemoteClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` for one server, which reports to a `Watch` how its messages fare.

    What is secret in the server's URL (a key in its query, a password) is in no request's URL, because httpx2 writes those
    to its log: it is put in where the request goes out.

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

    async def deliver(
        self, content: bytes, headers: Mapping[str, str], *, url: str = "", hurried: bool = False
    ) -> httpx2.Response:
        """Deliver a message; the answer, whose body is still to be read and closed, has a status below 300.

        Args:
            url: Where to; the server's own if left out.
            hurried: Nobody waits for the answer: it has to come within a moment, and no login is waited for.

        Raises:
            RpcError: The server's error, or one of ours where it could not be delivered.
        """
        request = self.build_request("POST", url or self.url, content=content, headers=headers)
        return await self._delivered(request, hurried)

    async def end_session(self, headers: Mapping[str, str]) -> None:
        """Say that a session is over. Raises RpcError as `deliver` does."""
        response = await self._delivered(self.build_request("DELETE", self.url, headers=headers), hurried=True)
        await response.aclose()

    async def open_events(self, headers: Mapping[str, Any] | None = None, *, first: bool = False) -> httpx2.Response:
        """The server's stream of server-sent events, opened at a walking pace.

        Args:
            first: Whether the server is met with this: what goes wrong is why it can't be used, and is noted.

        Raises:
            Refused: There is none at this URL, or nobody.
        """
        await asyncio.sleep(self._pace.delay(asyncio.get_running_loop().time()))
        own = {"accept": "text/event-stream", "cache-control": "no-store", **(headers or {})}
        try:
            response = await self._followed(self.build_request("GET", self.url, headers=own))
        except httpx2.TransportError as error:
            trouble = str(error) or type(error).__name__
            self._watch.trouble = trouble if first else self._watch.trouble
            raise Refused(trouble) from without_request(error)
        except LoginFailed as failure:
            self._denied(failure)
            raise Refused(f"the server {self._watch.denied}") from failure
        if (status := response.status_code) >= 300:
            await response.aclose()
            self._watch.status = status if first else self._watch.status
            raise Refused(f"HTTP {status}", code=status)
        return response

    # ---- one request

    async def _delivered(self, request: httpx2.Request, hurried: bool) -> httpx2.Response:
        try:
            if not hurried:
                return await self._accepted(request)
            request.extensions[_HURRIED] = True
            async with asyncio.timeout(NOTICE_S):
                return await self._accepted(request)
        except LoginFailed as failure:
            self._denied(failure)
            raise RpcError(CODE_REFUSED, f"the server {self._watch.denied}") from failure
        except (httpx2.RequestError, TimeoutError) as error:
            raise self.broken(error) from without_request(error)
        except Refused as refusal:
            raise RpcError(CODE_REFUSED, str(refusal)) from refusal

    def broken(self, error: Exception) -> RpcError:
        """What a message comes to whose answer could not be had."""
        reason = self._watch.trouble = str(error) or type(error).__name__
        code = CODE_UNREACHABLE if isinstance(error, _NEVER_SENT) else CODE_BROKEN
        return RpcError(code, f"could not be reached ({reason})")

    def _denied(self, failure: LoginFailed) -> None:
        self._watch.status, self._watch.denied = 401, redact(str(failure), self._watch.secrets)

    async def _accepted(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._followed(request)
        if response.status_code >= 400:
            raise await self._refusal(request, response)
        self._watch.status, self._watch.trouble, self._watch.denied = None, "", ""
        if (status := response.status_code) >= 300:
            await response.aclose()
            raise RpcError(CODE_REFUSED, f"the server answered HTTP {status} and doesn't say where to go")
        return response

    async def _followed(self, request: httpx2.Request) -> httpx2.Response:
        """The answer to a request. Redirects are followed as long as they stay with the server, and keep the message.

        Raises:
            Refused: One leads elsewhere, or they never end.
        """
        followed = 0
        while True:
            self._hide_query(request)
            response = unpacked(await self.send(request, stream=True, follow_redirects=False))
            following = response.next_request
            if following is None:
                return response
            await response.aclose()  # without its body, which may be endless
            if followed == MAX_REDIRECTS or not _stays(request, following):
                break
            await following.aread()  # its content is a stream
            request = following
            followed += 1
        raise Refused(f"Redirect to {origin(following.url)} not followed; use its URL if you trust it")

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

    async def _refusal(self, request: httpx2.Request, response: httpx2.Response) -> RpcError:
        """What a status of 400 or more comes to: the JSON-RPC error that it carries, or words of ours."""
        status = self._watch.status = response.status_code
        self._watch.denied = ""
        body = await bounded_body(response, MAX_ERROR_BYTES)
        if status == 404 and "mcp-session-id" in request.headers:
            return RpcError(CODE_UNREACHABLE, "has ended the session")
        if body is not None and (said := _rpc_error(body)) is not None:
            return said
        shown = f"HTTP {status} {response.reason_phrase}".rstrip()
        return RpcError(CODE_REFUSED, f"the server answered {shown}")


def is_patient(request: httpx2.Request) -> bool:
    """Whether somebody waits for the answer to it, and may wait for a login."""
    return _HURRIED not in request.extensions


def is_events(response: httpx2.Response) -> bool:
    """Whether its body is a stream of server-sent events."""
    return kind_of(response).startswith("text/event-stream")


def kind_of(response: httpx2.Response) -> str:
    return str(response.headers.get("content-type", "")).lower()


async def read_body(http: RemoteClient, response: httpx2.Response) -> bytes:
    """The body of an answer. Closes it.

    Raises:
        RpcError: It is too long, or broke off.
    """
    try:
        body = await bounded_body(response, MAX_ANSWER_BYTES)
    except httpx2.RequestError as error:
        raise http.broken(error) from without_request(error)
    if body is None:
        raise RpcError(CODE_REFUSED, f"the answer is too long: at most {MAX_ANSWER_BYTES:,} bytes are read")
    return body


def checked(data: bytes, watch: Watch) -> Message:
    """The message in `data`. Raises RpcError where it is none."""
    if too_many_values(data):
        raise RpcError(CODE_REFUSED, f"the answer holds more than {MAX_VALUES:,} values")
    message = read_message(data, watch)
    if message is None:
        raise RpcError(CODE_REFUSED, f"the server's answer is not valid MCP{_why_unread(data)}")
    return message


def _why_unread(data: bytes) -> str:
    try:
        json.loads(data)
    except json.JSONDecodeError as error:
        return f" (Invalid JSON: {error})"
    except (ValueError, RecursionError):
        return " (Invalid JSON: it is no text)"
    return ""


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


def _stays(request: httpx2.Request, following: httpx2.Request) -> bool:
    """Whether a redirect may be followed: it takes the whole message, and to nobody else."""
    here, there = request.url, following.url
    if following.method != request.method or there.userinfo:
        return False
    upgraded = (here.scheme, there.scheme) == ("http", "https") and here.host == there.host
    return origin(here) == origin(there) or (upgraded and here.port is None and there.port is None)


def _rpc_error(body: bytes) -> RpcError | None:
    try:
        message = encodable_json(json.loads(body))
    except (ValueError, RecursionError):
        return None
    said = message.get("error") if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None
    if not isinstance(said, dict) or not is_whole(said.get("code")) or not isinstance(said.get("message"), str):
        return None
    return RpcError(said["code"], said["message"], said.get("data"))
