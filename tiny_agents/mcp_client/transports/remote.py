"""The HTTP client that a remote server is spoken to through, with its login if it wants one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.connection.servers import READ_TIMEOUT_S, HttpServer, SseServer

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.transports.http_client import RemoteClient


@asynccontextmanager
async def remote_client(server: HttpServer | SseServer, watch: Watch, desk: Desk) -> AsyncIterator[RemoteClient]:
    import httpx2

    from tiny_agents.inference.http.trust import direct_transport, trust_for
    from tiny_agents.mcp_client.transports.http_client import RemoteClient, is_patient

    client = RemoteClient(
        watch,
        server.url,
        headers=dict(server.headers),
        timeout=httpx2.Timeout(server.timeout_s, read=server.read_timeout_s or READ_TIMEOUT_S),
        transport=direct_transport(server.url),
        verify=trust_for(server.url),
        trust_env=not is_loopback(server.url),  # a proxy can't reach our own loopback
    )
    async with client:
        if server.auth.type == "none":
            yield client
            return
        from tiny_agents.mcp_client.oauth.bearer import Bearer

        client.auth = bearer = Bearer(server.url, server.auth, desk, watch, is_patient)
        try:
            yield client
        finally:
            await bearer.close()
