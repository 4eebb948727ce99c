"""A server of the SDK's in our own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tiny_agents.mcp_client.transports.streams import StreamLink, linked, quiet_sdk

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.servers import InProcessServer
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk


@asynccontextmanager
async def open_in_process(server: InProcessServer, _: Watch, __: Desk) -> AsyncIterator[StreamLink]:
    from mcp.client._memory import InMemoryTransport  # no public name runs both kinds of the SDK's servers

    quiet_sdk()
    async with linked(InMemoryTransport(server.server)) as link:
        yield link
