"""What a server offers, listed to the end, and listed again when it says that this has changed."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tiny_agents.mcp_client.connection.watch import ConnectionLost, Refused, Watch
from tiny_agents.mcp_client.tools.mending import MAX_TOOLS

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.changes import ListKind
    from tiny_agents.mcp_client.tools.table import ServerTool
    from tiny_agents.mcp_client.transports.session import Session

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

MAX_PAGES = 1_000
MAX_ITEMS = MAX_TOOLS

LISTING_PAUSE_S = 0.5
"""Between two listings: a server that announces changes all the time is asked this often."""

LISTEN_DELAYS_S = (0.5, 2.0, 10.0, 60.0)
"""Waits before a stream of changes that ended is opened again, one per time it ended early; the last one holds on."""

STEADY_S = 30.0
"""How long a stream has to be open to count as one that works."""


async def list_tools(session: Session, server: str) -> list[ServerTool]:
    """All pages of a server's tools. A list that never ends is cut, with a warning.

    Raises:
        Refused, ConnectionLost: As `Session.list_tools`.
    """
    return await _all_pages(session.list_tools, server, "tools")


async def list_offered(session: Session, server: str, kind: ListKind) -> tuple[list[dict[str, Any]], float]:
    """All pages of one of a server's other lists, in the wire's own JSON, and for how many seconds it holds.

    Raises:
        Refused, ConnectionLost: As `Session.list_page`.
    """
    holds_s = math.inf

    async def page(cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
        nonlocal holds_s
        items, following, page_holds_s = await session.list_page(kind, cursor)
        holds_s = min(holds_s, page_holds_s)
        return items, following

    return await _all_pages(page, server, kind), holds_s


async def _all_pages(
    fetch: Callable[[str | None], Awaitable[tuple[list[T], str | None]]], server: str, what: str
) -> list[T]:
    items: list[T] = []
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page, cursor = await fetch(cursor)
        items += page
        if not cursor and len(items) <= MAX_ITEMS:
            return items
        if not cursor or cursor in seen or len(items) >= MAX_ITEMS:
            break
        seen.add(cursor)
    ends = "is too long" if not cursor else "does not end"
    logger.warning(
        "MCP server '%s': its list of %s %s; the first %d are used", server, what, ends, min(len(items), MAX_ITEMS)
    )
    return items[:MAX_ITEMS]


async def follow_tools(
    session: Session, watch: Watch, server: str, renew: Callable[[list[ServerTool]], None], limit_s: float
) -> None:
    """List the tools again whenever the server says that they have changed. Ends by being cancelled.

    Args:
        limit_s: How long one listing may take; after that the next notice is waited for.
    """
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(keep_open(session.listen))
        while True:
            await watch.tools_changed.wait()
            watch.tools_changed.clear()
            try:
                async with asyncio.timeout(limit_s):
                    tools = await list_tools(session, server)
                renew(tools)
            except (Refused, ConnectionLost) as error:
                logger.warning("MCP server '%s': its changed tools can't be listed: %s", server, error)
            except TimeoutError:
                logger.warning("MCP server '%s': its changed tools could not be listed within %g s", server, limit_s)
            await asyncio.sleep(LISTING_PAUSE_S)


async def keep_open(stream: Callable[[], Awaitable[bool]]) -> None:
    """Open a stream of changes again and again, at growing intervals, until it says that this makes no sense."""
    clock = asyncio.get_running_loop().time
    early = 0
    opened = clock()
    while await stream():
        early = 0 if clock() - opened >= STEADY_S else early + 1
        await asyncio.sleep(LISTEN_DELAYS_S[min(early, len(LISTEN_DELAYS_S) - 1)])
        opened = clock()
