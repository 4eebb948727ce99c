"""A small MCP server: notes in a folder. `python notes_server.py FOLDER`"""

import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations

FOLDER = Path(sys.argv[1])

server = MCPServer("notes", log_level="ERROR")


def note(name: str) -> Path:
    path = FOLDER / f"{name}.md"
    if path.parent != FOLDER:
        raise ValueError("a note's name has no slashes")
    return path


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def list_notes() -> list[str]:
    """List the names of all notes."""
    return sorted(path.stem for path in FOLDER.glob("*.md"))


@server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
def read_note(name: str) -> str:
    """Read a note."""
    return note(name).read_text(encoding="utf-8")


@server.tool(structured_output=False)
def write_note(name: str, text: str) -> str:
    """Write a note, in place of the one of this name if there is one."""
    note(name).write_text(text, encoding="utf-8")
    return "written"


@server.tool(annotations=ToolAnnotations(destructive_hint=True), structured_output=False)
def remove_note(name: str) -> str:
    """Remove a note."""
    note(name).unlink()
    return "removed"


server.run("stdio")
