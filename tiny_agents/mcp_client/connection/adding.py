"""The connection to a server that is added to a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiny_agents.mcp_client.connection.connection import Connection
from tiny_agents.mcp_client.events import ServerAsked, ServerLog
from tiny_agents.mcp_client.host.host import Desk, Host, Sample, held_weakly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiny_agents.mcp_client.bounds import Pinning
    from tiny_agents.mcp_client.connection.servers import Server, ServerOptions
    from tiny_agents.mcp_client.events import Events
    from tiny_agents.mcp_client.tools.known_servers import KnownServers


def connection_to(
    server: Server,
    name: str,
    options: ServerOptions,
    *,
    startup_timeout_s: float,
    tool_timeout_s: float,
    host: Host,
    sample: Sample,
    models: Sequence[str],
    pinning: Pinning,
    known: KnownServers,
    events: Events,
) -> Connection:
    """A connection that hasn't been started. What the server's options leave out is as for the whole client.

    Args:
        sample: Asks the model what the server wants to know; held weakly.
        models: Names of the models that may be asked.
        events: Of the client's first conversation. What a server logs and asks is told there alone: it doesn't say of which
            it is, and may hold what another one said.
    """
    desk = Desk(
        name,
        host,
        held_weakly(sample),
        asked=lambda request: events.emit(ServerAsked(request)),
        logged=lambda level, logger, data: events.emit(ServerLog(name, level, data, logger)),
        models=models,
        folders=options.roots,
        log_level=options.log_level,
    )
    return Connection(
        name,
        server,
        startup_timeout_s=options.startup_timeout_s or startup_timeout_s,
        tool_timeout_s=options.tool_timeout_s or tool_timeout_s,
        desk=desk,
        tools=options.tools,
        protocol=options.protocol,
        secrets=options.secrets,
        pinning=pinning,
        known=known,
        max_parallel_calls=options.max_parallel_calls,
        restarts=options.restarts,
        emit=events.emit_to_all,
    )
