"""A host whose person logs in with a browser, which here is a plain HTTP client."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tiny_agents.mcp_client.host.host import AuthorizationReply, AuthorizationRequest, Host


@dataclass
class Page:
    status_code: int
    text: str
    location: str = ""


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _open(url: str, *handlers: urllib.request.BaseHandler) -> Page:
    # Not with httpx2: its log would hold what only a browser sees.
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), *handlers).open(url, timeout=20) as page:
            return Page(page.status, page.read().decode())
    except urllib.error.HTTPError as error:
        with error:
            return Page(error.code, error.read().decode(), error.headers.get("location", ""))


async def browse(url: str) -> Page:
    """Follow a page to where it ends."""
    return await asyncio.to_thread(_open, url)


async def end_of(url: str) -> str:
    """Where the page sends the browser, without going there: the browser runs on another machine."""
    return await asyncio.to_thread(address_at_the_end_of, url)


def address_at_the_end_of(url: str) -> str:
    """The same for tests that don't wait."""
    return _open(url, _Stay()).location


class Person(Host):
    """Logs in with the browser.

    Attributes:
        asked: The logins that were asked for, in order.
    """

    def __init__(self) -> None:
        self.asked: list[AuthorizationRequest] = []
        self._browsing: list[asyncio.Task[Page]] = []

    async def shown(self) -> list[Page]:
        """What the browser showed, page by page; the last may come after the login, which waits for nobody."""
        return [await page for page in self._browsing]

    async def visit(self, url: str) -> None:
        self._browsing.append(asyncio.create_task(browse(url)))
        await asyncio.shield(self._browsing[-1])

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        self.asked.append(request)
        await self.visit(request.url)
        return AuthorizationReply("accept")


class Pasting(Person):
    """Opens the page on another machine, and pastes first what it was told to, then the right address."""

    def __init__(self, first: Sequence[str] = ()) -> None:
        super().__init__()
        self.first = list(first)

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        self.asked.append(request)
        return AuthorizationReply("accept", self.first.pop(0) if self.first else await end_of(request.url))


class Refusing(Person):
    """Doesn't want to."""

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        self.asked.append(request)
        return AuthorizationReply("decline")


class Silent(Person):
    """Says yes, and goes for lunch."""

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        self.asked.append(request)
        await asyncio.Event().wait()
        raise AssertionError
