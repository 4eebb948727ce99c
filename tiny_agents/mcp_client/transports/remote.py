"""The HTTP client that a remote server is spoken to through, with its login if it wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tiny_agents.mcp_client.connection.servers import READ_TIMEOUT_S, HttpServer, SseServer

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.transports.http_client import RemoteClient


@asynccontextmanager
async def remote_client(server: HttpServer | SseServer, watch: Watch, desk: Desk) -> AsyncIterator[RemoteClient]:
    from tiny_agents.inference.http.http1.pool import Waits
    from tiny_agents.inference.http.senders import new_sender
    from tiny_agents.inference.http.settings import HTTPSettings
    from tiny_agents.mcp_client.transports.http_client import RemoteClient

    login = None
    if server.auth.type != "none":
        from tiny_agents.mcp_client.oauth.bearer import Bearer

        login = Bearer(server.url, server.auth, desk, watch)
    waits = Waits(server.timeout_s, server.timeout_s, server.read_timeout_s or READ_TIMEOUT_S)
    sender = await new_sender(server.url, HTTPSettings())
    try:
        yield RemoteClient(sender, watch, server.url, server.headers, waits, login)
    finally:
        try:
            if login is not None:
                await login.close()
        finally:
            await sender.aclose()
