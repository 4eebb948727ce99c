"""Pages that a server wants opened before it answers at all (its error -32042): asked for, and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tiny_agents.mcp_client.host.host import Desk, Refusal, UrlRequest
from tiny_agents.mcp_client.text import readable

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch

MAX_PAGES: Final = 5
"""Most pages that one answer may ask for."""

PAGE_DONE_S: Final = 60.0
"""How long the server's word that an opened page is done is waited for; it needn't say so, so then it is asked again."""


class Page(msgspec.Struct, frozen=True):
    id: str
    message: str
    url: str


def read_pages(data: Any) -> list[Page]:
    """The pages in the data of such an error; none where it isn't what the protocol says."""
    listed = data.get("elicitations") if isinstance(data, Mapping) else None
    if not isinstance(listed, list) or len(listed) > MAX_PAGES:
        return []
    found = [
        Page(str(item.get("elicitationId") or ""), readable(str(item.get("message") or "")), str(item.get("url") or ""))
        for item in listed
        if isinstance(item, Mapping) and item.get("mode") == "url"
    ]
    return found if len(found) == len(listed) else []


async def open_pages(pages: Sequence[Page], desk: Desk, watch: Watch) -> bool:
    """Whether the person agreed to open all of them. The server may have said by then that they are done, or not."""
    for page in pages:
        watch.pages_done[page.id] = asyncio.Event()
    try:
        with watch.paused():
            for page in pages:
                try:
                    reply = await desk.elicit(UrlRequest(desk.server, page.message, page.url))
                except Refusal:
                    return False
                if reply.action != "accept":
                    return False
            try:
                async with asyncio.timeout(PAGE_DONE_S):
                    for page in pages:
                        await watch.pages_done[page.id].wait()
            except TimeoutError:
                pass  # the server needn't say so: what it answers now tells
            return True
    finally:
        for page in pages:
            watch.pages_done.pop(page.id, None)
