"""A small stdio server with tools whose results never change."""

import os

from mcp.server.mcpserver import MCPServer

server = MCPServer("same-program")


@server.tool(structured_output=False)
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


@server.tool(structured_output=False)
def greet(name: str) -> str:
    """Greet somebody."""
    return f"{os.environ['GREETING']}, {name}"


@server.tool(structured_output=False)
def fail() -> str:
    """Fail."""
    raise ValueError("on purpose")


server.run("stdio")
