"""What becomes of the servers of a client that nobody has any more."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiny_agents.mcp_client.connection.connection import Connection

logger = logging.getLogger("tiny_agents.mcp_client")


def drop_all(connections: Mapping[str, Connection]) -> None:
    """Leave the servers of a client that nobody has any more; called by the garbage collector, in any thread."""
    dropped = [name for name, connection in connections.items() if connection.drop()]
    if dropped:
        logger.debug("a client was dropped without cleanup(); its servers are left: %s", ", ".join(dropped))
        warnings.warn(
            f"an MCPClient was dropped without cleanup(); these servers are left: {', '.join(dropped)}",
            ResourceWarning,
            stacklevel=2,
        )
