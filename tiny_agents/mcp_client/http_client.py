"""The HTTP client that the SDK's remote transports send through.

The SDK tells its caller little about a request that failed: a refused connection ends the whole transport, a status
becomes "Server returned an error response". So failures are made into JSON-RPC errors here, one per request, which say
what happened and whether the request can have reached the server. Imported only when a remote server is opened.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2

from tiny_agents.mcp_client.watch import CODE_BROKEN, CODE_REFUSED, CODE_UNREACHABLE, Watch

NOTICE_S = 2.0  # for what expects no answer, such as the end of a session; the server may be the reason why we leave
MAX_ERROR_BYTES = 1024 * 1024

_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class WatchedClient(httpx2.AsyncClient):
    """An `httpx2.AsyncClient` that answers every request, if need be by itself, and reports to a `Watch`.

    Args:
        sse: True for the older HTTP+SSE transport, where answers come by another way than messages go: a message that
            could not be posted gets none, so that is the end of the connection.
    """

    def __init__(self, watch: Watch, *, sse: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._watch = watch
        self._sse = sse

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        try:
            async with asyncio.timeout(NOTICE_S if _is_notice(request) else None):
                response = await super().send(request, **options)
        except (httpx2.TransportError, TimeoutError) as error:
            return self._failed(request, error)
        if response.status_code >= 400 and self._matters(request):
            return await self._refused(request, response)
        if self._matters(request):
            self._watch.status, self._watch.trouble = None, ""
        return response

    def _matters(self, request: httpx2.Request) -> bool:
        """Whether `request` carries a message; over streamable HTTP a GET only listens, which servers may decline."""
        return request.method == "POST" or (self._sse and request.method == "GET")

    def _failed(self, request: httpx2.Request, error: Exception) -> httpx2.Response:
        reason = str(error) or type(error).__name__
        if self._matters(request):
            self._watch.trouble = reason
        self._note_loss(request, reason)
        code = CODE_UNREACHABLE if isinstance(error, _NEVER_SENT) else CODE_BROKEN
        return _error(request, 503, code, f"could not be reached ({reason})")

    async def _refused(self, request: httpx2.Request, response: httpx2.Response) -> httpx2.Response:
        """A status of 400 or more: kept if it carries a JSON-RPC error, put into words if not."""
        status = self._watch.status = response.status_code
        body = await _body(response)
        shown = f"HTTP {status} {response.reason_phrase}".rstrip()
        self._note_loss(request, shown)
        if status == 404 and "mcp-session-id" in request.headers:
            return _error(request, status, CODE_UNREACHABLE, "has ended the session")
        if _is_rpc_error(body):
            headers = {"content-type": "application/json"}
            return httpx2.Response(status, headers=headers, content=body, request=request)
        return _error(request, status, CODE_REFUSED, f"the server answered {shown}")

    def _note_loss(self, request: httpx2.Request, reason: str) -> None:
        if self._sse and request.method == "POST":
            self._watch.lose(f"could not be reached any more ({reason})")


def _is_notice(request: httpx2.Request) -> bool:
    """Whether nobody waits for the answer. The SDK sends notifications one after the other, and calls after them."""
    if request.method == "POST":
        return b'"method":"notifications/' in request.content[:200]
    return request.method == "DELETE"


def _error(request: httpx2.Request, status: int, code: int, message: str) -> httpx2.Response:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return httpx2.Response(status, json=error, request=request)


async def _body(response: httpx2.Response) -> bytes:
    """The start of an error's body; what can't be read is as good as empty."""
    body = b""
    try:
        async for data in response.aiter_bytes():
            body += data
            if len(body) > MAX_ERROR_BYTES:
                break
    except httpx2.TransportError:
        return b""
    finally:
        await response.aclose()
    return body[:MAX_ERROR_BYTES]


def _is_rpc_error(body: bytes) -> bool:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("jsonrpc") == "2.0" and isinstance(message.get("error"), dict)
