"""A stdio server whose one tool creates a file and then never answers."""

import asyncio
from pathlib import Path

from mcp.server.mcpserver import MCPServer

server = MCPServer("hanging")


@server.tool()
async def wait_for_ever(started: str) -> str:
    """Never answers."""
    Path(started).touch()
    await asyncio.Event().wait()
    return "never"


server.run("stdio")
