"""Remote servers: the HTTP client that they are spoken to through, and streamable HTTP."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.connection.servers import READ_TIMEOUT_S, HttpServer, SseServer
from tiny_agents.mcp_client.transports.streams import StreamLink, linked, quiet_sdk

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.transports.http_client import WatchedClient


_SAYS_THE_ID = "Received session ID"


@asynccontextmanager
async def watched_client(server: HttpServer | SseServer, watch: Watch, desk: Desk) -> AsyncIterator[WatchedClient]:
    import httpx2

    from tiny_agents.inference.http.trust import direct_transport, trust_for
    from tiny_agents.mcp_client.oauth.login import Authorizer, Bearer
    from tiny_agents.mcp_client.transports.http_client import WatchedClient, is_notice

    client = WatchedClient(
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
        authorizer = Authorizer(server.url, server.auth, desk, watch)
        client.auth = Bearer(server.url, authorizer, lambda request: not is_notice(request))
        try:
            yield client
        finally:
            await authorizer.close()


def _without_session_id(record: logging.LogRecord) -> bool:
    """The SDK logs the session's id, with which others could go on with it."""
    if str(record.msg).startswith(_SAYS_THE_ID):
        record.msg, record.args = _SAYS_THE_ID, ()
    return True


@asynccontextmanager
async def open_http(server: HttpServer, watch: Watch, desk: Desk) -> AsyncIterator[StreamLink]:
    from mcp.client.streamable_http import streamable_http_client

    from tiny_agents.mcp_client.transports.http_client import MAX_ANSWER_BYTES

    quiet_sdk()
    logging.getLogger("mcp.client.streamable_http").addFilter(_without_session_id)
    async with watched_client(server, watch, desk) as http:
        transport = streamable_http_client(
            http.url,
            http_client=http,
            terminate_on_close=server.terminate_on_close,
            max_sse_event_size=MAX_ANSWER_BYTES,
        )
        async with linked(transport, {"notifications/initialized": http.listening}) as link:
            yield link
