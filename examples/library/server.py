"""A small MCP server with resources and a prompt: `python server.py`"""

from mcp.server.mcpserver import MCPServer

BOOKS = {"moby-dick": "Call me Ishmael.", "dracula": "Left Munich at 8:35 P.M."}

server = MCPServer("library", log_level="ERROR")


@server.resource("book://{name}", mime_type="text/plain")
def book(name: str) -> str:
    """A book, by its name."""
    return BOOKS[name]


@server.resource("library://opening-hours", mime_type="text/plain")
def hours() -> str:
    """When the library is open."""
    return "Monday to Friday, 9 to 18."


@server.prompt()
def review(book: str) -> str:
    """Ask for a review of a book."""
    return f"Write a review of {book} in one sentence."


server.run("stdio")
