"""What a server offers, listed to the end, and listed again when it says that this has changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from tiny_agents.mcp_client.tools import ServerTool
from tiny_agents.mcp_client.transports.session import Session
from tiny_agents.mcp_client.watch import ConnectionLost, Refused, Watch

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_PAGES = 1_000
MAX_TOOLS = 10_000

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
    tools: list[ServerTool] = []
    seen: set[str] = set()
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page, cursor = await session.list_tools(cursor)
        tools += page
        if not cursor:
            return tools
        if cursor in seen or len(tools) >= MAX_TOOLS:
            break
        seen.add(cursor)
    logger.warning(
        "MCP server '%s': its list of tools does not end; the first %d are used", server, min(len(tools), MAX_TOOLS)
    )
    return tools[:MAX_TOOLS]


async def follow_tools(session: Session, watch: Watch, server: str, renew: Callable[[list[ServerTool]], None]) -> None:
    """List the tools again whenever the server says that they have changed. Ends by being cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_listen(session))
        while True:
            await watch.tools_changed.wait()
            watch.tools_changed.clear()
            try:
                renew(await list_tools(session, server))
            except (Refused, ConnectionLost) as error:
                logger.warning("MCP server '%s': its changed tools can't be listed: %s", server, error)
            await asyncio.sleep(LISTING_PAUSE_S)


async def _listen(session: Session) -> None:
    clock = asyncio.get_running_loop().time
    early = 0
    opened = clock()
    while await session.listen():
        early = 0 if clock() - opened >= STEADY_S else early + 1
        await asyncio.sleep(LISTEN_DELAYS_S[min(early, len(LISTEN_DELAYS_S) - 1)])
        opened = clock()
