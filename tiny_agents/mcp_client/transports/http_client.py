"""The HTTP client that remote servers are spoken to through.

Whatever keeps a message from being delivered is an `RpcError` here, one per message, which says what happened and whether
the server can have acted on it. Imported only when a remote server is opened.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import httpx2

from tiny_agents.errors import redact
from tiny_agents.inference.call import Request
from tiny_agents.inference.http.http1.pool import Waits
from tiny_agents.inference.http.outgoing import password_in
from tiny_agents.inference.http.senders import Reply, Sender
from tiny_agents.inference.http.tries import without_request
from tiny_agents.inference.wire import USER_AGENT, is_redirect
from tiny_agents.mcp_client.connection.watch import CODE_BROKEN, CODE_REFUSED, CODE_UNREACHABLE, Refused, Watch
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.protocol.messages import Message, RpcError, is_whole
from tiny_agents.mcp_client.text import encodable_json
from tiny_agents.mcp_client.transports.answers import bounded, finish, origin
from tiny_agents.mcp_client.transports.bounds import MAX_VALUES, too_many_values
from tiny_agents.mcp_client.transports.framing import read_message
from tiny_agents.mcp_client.transports.redirects import destination, may_follow

if TYPE_CHECKING:
    from tiny_agents.mcp_client.oauth.bearer import Bearer
    from tiny_agents.mcp_client.transports.cookies import Cookies

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Longest JSON answer, and largest event of a streamed one, as much as a line of a stdio server."""

MAX_ERROR_BYTES = 1024 * 1024
MAX_REDIRECTS = 5
MAX_LOGINS = 4  # of one message: with the token that was kept, with a renewed one, after a login, with more scopes
NOTICE_S = 2.0  # for what expects no answer, such as the end of a session; the server may be the reason why we leave

PACE_S = 30.0
FREE_STREAMS = 3  # within so many seconds
MAX_PAUSE_S = 2.0

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_PATIENT = nullcontext()


class RemoteClient:
    """Messages to one server and its answers; reports to a `Watch` how they fare.

    Args:
        url: The server's. What is secret in it (a key in its query, a password) comes into no log: a password becomes a
            header, and senders write no query to theirs.
        headers: Of each message.
        waits: The limits of each message.
        login: Whose token is sent along; None where the headers or the URL hold what lets us in, if anything does.
    """

    def __init__(
        self, sender: Sender, watch: Watch, url: str, headers: Mapping[str, str], waits: Waits, login: Bearer | None
    ) -> None:
        whole = httpx2.URL(url)
        own = str(whole.copy_with(userinfo=b"", fragment=None))
        self._post, self._get, self._delete = (Request(method, own) for method in ("POST", "GET", "DELETE"))
        self._headers = {
            "user-agent": USER_AGENT,
            "accept": "*/*",
            **{name.lower(): value for name, value in headers.items()},
        }
        if login is None:
            self._headers |= password_in(whole)
        self._sender = sender
        self._watch = watch
        self._waits = waits
        self._login = login
        self._cookies: Cookies | None = None
        self._pace = Pace()

    def deliver(
        self, content: bytes, headers: Mapping[str, str], *, url: str = "", hurried: bool = False
    ) -> Coroutine[Any, Any, Reply]:
        """Deliver a message; the answer, whose body is still to be read and closed, has a status below 300.

        Args:
            headers: Of this message, names in lower case.
            url: Where to; the server's own if left out.
            hurried: Nobody waits for the answer: it has to come within a moment, and no login is waited for.

        Raises:
            RpcError: The server's error, or one of ours where it could not be delivered.
        """
        return self._delivered(Request("POST", url) if url else self._post, headers, content, hurried=hurried)

    async def end_session(self, headers: Mapping[str, str]) -> None:
        """Say that a session is over. Raises RpcError as `deliver` does."""
        reply = await self._delivered(self._delete, headers, None, hurried=True)
        await reply.aclose()

    async def open_events(self, headers: Mapping[str, str] | None = None, *, first: bool = False) -> Reply:
        """The server's stream of server-sent events, opened at a walking pace.

        Args:
            first: Whether the server is met with this: what goes wrong is why it can't be used, and is noted.

        Raises:
            Refused: There is none at this URL, or nobody.
        """
        await asyncio.sleep(self._pace.delay(asyncio.get_running_loop().time()))
        own = {"accept": "text/event-stream", "cache-control": "no-store", **(headers or {})}
        try:
            reply = await self._answered(self._get, own, None, patient=True)
        except httpx2.TransportError as error:
            trouble = str(error) or type(error).__name__
            self._watch.trouble = trouble if first else self._watch.trouble
            raise Refused(trouble) from without_request(error)
        except LoginFailed as failure:
            self._denied(failure)
            raise Refused(f"the server {self._watch.denied}") from failure
        if reply.status >= 300:
            await reply.aclose()
            self._watch.status = reply.status if first else self._watch.status
            raise Refused(f"HTTP {reply.status}", code=reply.status)
        return reply

    # ---- one message

    async def _delivered(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, *, hurried: bool
    ) -> Reply:
        try:
            async with asyncio.timeout(NOTICE_S) if hurried else _PATIENT:
                reply = await self._answered(request, headers, content, patient=not hurried)
                if reply.status >= 300:
                    raise await self._refusal(reply, headers)
        except LoginFailed as failure:
            self._denied(failure)
            raise RpcError(CODE_REFUSED, f"the server {self._watch.denied}") from failure
        except (httpx2.RequestError, TimeoutError) as error:
            raise self.broken(error) from without_request(error)
        except Refused as refusal:
            raise RpcError(CODE_REFUSED, str(refusal)) from refusal
        self._accepted()
        return reply

    def broken(self, error: Exception) -> RpcError:
        """What a message comes to whose answer could not be had."""
        reason = self._watch.trouble = str(error) or type(error).__name__
        code = CODE_UNREACHABLE if isinstance(error, _NEVER_SENT) else CODE_BROKEN
        return RpcError(code, f"could not be reached ({reason})")

    def _denied(self, failure: LoginFailed) -> None:
        self._watch.status, self._watch.denied = 401, redact(str(failure), self._watch.secrets)

    def _accepted(self) -> None:
        self._watch.status, self._watch.trouble, self._watch.denied = None, "", ""

    async def _answered(
        self, request: Request, headers: Mapping[str, str], content: bytes | None, *, patient: bool
    ) -> Reply:
        """The answer to a message, after a login where that is wanted.

        Redirects are followed as long as they stay with the server, and keep the message.

        Raises:
            Refused: One leads elsewhere, or they never end.
            LoginFailed: It needs one.
        """
        login = self._login
        token = await login.token(request.url) if login is not None and login.is_in_use else None
        logins = redirects = 0
        while True:
            sent = self._with_own(headers, request.url, token)
            reply = await self._sender.send(request, sent, content, self._waits)
            if "set-cookie" in reply.headers:
                self._take_cookies(reply)
            if login is not None and login.minds(reply.status, reply.headers):
                token = await self._renewed(login, token, reply, patient)
                logins += 1
                if token is not None and logins < MAX_LOGINS:
                    await finish(reply)
                    continue
            if not is_redirect(reply.status, reply.headers):
                return reply
            await reply.aclose()  # without its body, which may be endless
            request = _following(reply, redirects)
            redirects += 1
            token = await login.token(request.url) if login is not None and login.is_in_use else None

    def _with_own(self, headers: Mapping[str, str], url: str, token: str | None) -> dict[str, str]:
        sent = {**self._headers, **headers}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if self._cookies is not None and "cookie" not in sent and (cookie := self._cookies.header(url)):
            sent["cookie"] = cookie
        return sent

    def _take_cookies(self, reply: Reply) -> None:
        from tiny_agents.mcp_client.transports.cookies import Cookies

        self._cookies = self._cookies or Cookies()
        self._cookies.take(reply)

    async def _renewed(self, login: Bearer, token: str | None, reply: Reply, patient: bool) -> str | None:
        """Another token, with which the message has to be sent again; None where the answer stands."""
        try:
            return await login.renewed(token, reply.request.url, reply.status, reply.headers, patient=patient)
        except BaseException:
            await reply.aclose()
            raise

    async def _refusal(self, reply: Reply, headers: Mapping[str, str]) -> RpcError:
        """What a status of 300 or more comes to: the JSON-RPC error that it carries, or words of ours. Closes the answer.

        Args:
            headers: Of the message.
        """
        if reply.status < 400:
            await reply.aclose()
            self._accepted()
            return RpcError(CODE_REFUSED, f"the server answered HTTP {reply.status} and doesn't say where to go")
        self._watch.status, self._watch.denied = reply.status, ""
        try:
            body = await bounded(reply.data, MAX_ERROR_BYTES)
        finally:
            await reply.aclose()
        if reply.status == 404 and "mcp-session-id" in headers:
            return RpcError(CODE_UNREACHABLE, "has ended the session")
        if body is not None and (said := _rpc_error(body)) is not None:
            return said
        shown = f"HTTP {reply.status} {reply.reason}".rstrip()
        return RpcError(CODE_REFUSED, f"the server answered {shown}")


def _following(reply: Reply, redirects: int) -> Request:
    """What to ask after a redirect. Raises Refused, or httpx2.RemoteProtocolError where it names no address."""
    asked = reply.request
    there = destination(asked.url, reply.headers["location"])
    if redirects == MAX_REDIRECTS or not may_follow(asked.method, asked.url, reply.status, there):
        raise Refused(f"Redirect to {origin(there)} not followed; use its URL if you trust it")
    return Request(asked.method, str(there))


def is_events(reply: Reply) -> bool:
    """Whether its body is a stream of server-sent events."""
    return kind_of(reply).startswith("text/event-stream")


def kind_of(reply: Reply) -> str:
    return reply.headers.get("content-type", "").lower()


async def read_body(http: RemoteClient, reply: Reply) -> bytes:
    """The body of an answer. Closes it.

    Raises:
        RpcError: It is too long, or broke off.
    """
    try:
        body = await bounded(reply.data, MAX_ANSWER_BYTES)
    except httpx2.RequestError as error:
        raise http.broken(error) from without_request(error)
    finally:
        await reply.aclose()
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


def _rpc_error(body: bytes) -> RpcError | None:
    try:
        message = encodable_json(json.loads(body))
    except (ValueError, RecursionError):
        return None
    said = message.get("error") if isinstance(message, dict) and message.get("jsonrpc") == "2.0" else None
    if not isinstance(said, dict) or not is_whole(said.get("code")) or not isinstance(said.get("message"), str):
        return None
    return RpcError(said["code"], said["message"], said.get("data"))
