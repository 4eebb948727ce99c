"""`Sender`: sends what a flow asks for. Every answer is bounded, and comes within a limit."""

from __future__ import annotations

import asyncio

import httpx2

from tiny_agents.inference.http.tries import without_request
from tiny_agents.inference.http.trust import trust_store
from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.oauth import flow
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.flow import Flow, T
from tiny_agents.mcp_client.oauth.store import Kept
from tiny_agents.mcp_client.transports.answers import bounded, origin

HTTP_TIMEOUT_S = 30.0
REVOKE_S = 10.0
MAX_ANSWER_BYTES = 1024 * 1024
MAX_REDIRECTS = 5


class Sender:
    """An HTTP client for what belongs to a login at the server `url`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: httpx2.AsyncClient | None = None

    @property
    def _http(self) -> httpx2.AsyncClient:
        """Made when it is needed: most connections never log in."""
        if self._made is None:
            outside = not is_loopback(self._url)
            self._made = httpx2.AsyncClient(
                timeout=HTTP_TIMEOUT_S, follow_redirects=False, verify=trust_store(), trust_env=outside
            )
        return self._made

    async def close(self) -> None:
        if self._made is not None:
            await self._made.aclose()

    async def do(self, steps: Flow[T]) -> T:
        """Send what a flow asks for, until it has its result.

        Raises:
            LoginFailed: Whatever the flow finds wrong, or nobody answers.
        """
        response: httpx2.Response | None = None
        while True:
            try:
                request = next(steps) if response is None else steps.send(response)
            except StopIteration as done:
                result: T = done.value
                return result
            response = await self._send(request)

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        """Redirects are followed within an origin, and only of requests that carry nothing."""
        for _ in range(MAX_REDIRECTS):
            request.extensions = {**request.extensions, "timeout": httpx2.Timeout(HTTP_TIMEOUT_S).as_dict()}
            try:
                response = await self._http.send(request, stream=True, follow_redirects=False)
                try:
                    body = await bounded(response.aiter_bytes(), MAX_ANSWER_BYTES) or b""  # too long is as good as none
                finally:
                    await response.aclose()
            except httpx2.RequestError as error:
                reason = str(error) or type(error).__name__
                where = origin(request.url)
                raise LoginFailed(
                    f"can't be logged in at: {where} could not be reached ({reason})."
                ) from without_request(error)
            following = response.next_request
            if following is None or request.method != "GET" or origin(following.url) != origin(request.url):
                headers = {"content-type": response.headers.get("content-type", "")}
                return httpx2.Response(response.status_code, headers=headers, content=body, request=request)
            request = following
        raise LoginFailed(f"can't be logged in at: {origin(request.url)} redirects for ever.")


async def log_out(kept: Kept) -> str:
    """Delete a login, and have its tokens revoked where that can be done; says why not, where it couldn't."""
    kept.path.unlink(missing_ok=True)
    login = kept.login
    if login is None or login.tokens is None:
        return ""
    if login.revocation_endpoint is None or login.client is None:
        return "its server can't revoke them"
    sender = Sender(login.address)
    try:
        async with asyncio.timeout(REVOKE_S):
            return await sender.do(flow.revoke(login, login.client))
    except (LoginFailed, TimeoutError) as error:
        return str(error) or f"{login.issuer} did not answer"
    finally:
        await sender.close()
