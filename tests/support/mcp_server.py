"""An MCP server to test against, made with the SDK's `MCPServer`: `python mcp_server.py stdio | http | sse`.

Over http and sse it listens on a free loopback port and writes one line, `READY <url>`, once it does.
"""

from __future__ import annotations

import base64
import os
import socket
import sys
from pathlib import Path
from typing import Any

import anyio
import uvicorn
from mcp.server.mcpserver import Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ResourceLink,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READ_ONLY = ToolAnnotations(read_only_hint=True)
IDEMPOTENT = ToolAnnotations(idempotent_hint=True)

server = MCPServer("testbed", log_level="ERROR")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool(structured_output=False)
def echo(text: str) -> str:
    """Say it again."""
    return text


@server.tool(structured_output=False)
def silence() -> list[Any]:
    """Answer nothing."""
    return []


@server.tool()
def picture() -> Image:
    """A picture of one pixel."""
    return Image(data=PIXEL, format="png")


@server.tool()
def mixed() -> CallToolResult:
    """One of each kind of content."""
    return CallToolResult(
        content=[
            TextContent(type="text", text="first"),
            AudioContent(type="audio", data="AAAA", mime_type="audio/wav"),
            EmbeddedResource(
                type="resource", resource=TextResourceContents(uri="memo://1", text="a memo", mime_type="text/plain")
            ),
            EmbeddedResource(
                type="resource",
                resource=BlobResourceContents(uri="blob://1", blob="AAAAAA==", mime_type="application/x-thing"),
            ),
            ResourceLink(type="resource_link", uri="file:///report.pdf", name="report", mime_type="application/pdf"),
        ]
    )


@server.tool()
def data() -> CallToolResult:
    """Structured content and nothing else."""
    return CallToolResult(content=[], structured_content={"city": "Tōkyō", "degrees": 21.5})


@server.tool(structured_output=False)
def fail(reason: str = "boom") -> str:
    """Fail."""
    raise ToolError(reason)


@server.tool(structured_output=False)
def long_text(characters: int) -> str:
    """A text of that length."""
    return "x" * characters


begun: dict[str, anyio.Event] = {}
cancelled: dict[str, anyio.Event] = {}


@server.tool(structured_output=False)
async def wait(place: str = "") -> str:
    """Never answer."""
    begun.setdefault(place, anyio.Event()).set()
    try:
        await anyio.sleep_forever()
    finally:
        cancelled.setdefault(place, anyio.Event()).set()
    raise AssertionError


@server.tool(structured_output=False)
async def is_waiting(place: str = "") -> str:
    """Answer once a call of `wait` has begun at this place."""
    with anyio.fail_after(60):
        await begun.setdefault(place, anyio.Event()).wait()
    return "yes"


@server.tool(structured_output=False)
async def was_cancelled(place: str = "") -> str:
    """Answer once the call of `wait` at this place has been cancelled."""
    with anyio.fail_after(60):
        await cancelled.setdefault(place, anyio.Event()).wait()
    return "yes"


complete: dict[str, anyio.Event] = {}
present: dict[str, int] = {}


@server.tool(structured_output=False)
async def meet(place: str, party: int, say: str) -> str:
    """Answer only once `party` calls are at the same place at the same time."""
    everybody = complete.setdefault(place, anyio.Event())
    present[place] = present.get(place, 0) + 1
    if present[place] == party:
        everybody.set()
    with anyio.fail_after(60):
        await everybody.wait()
    return say


@server.tool(structured_output=False)
def environment(name: str) -> str:
    """A variable of this server's environment."""
    return os.environ.get(name, "(not set)")


@server.tool(structured_output=False)
def workdir() -> str:
    """Where this server runs."""
    return str(Path.cwd())


@server.tool(structured_output=False)
def header(name: str, ctx: Context) -> str:  # type: ignore[type-arg]
    """A header of the request that carries this call."""
    return (ctx.headers or {}).get(name, "(not set)")


@server.tool(structured_output=False)
def pid() -> str:
    """This process."""
    return str(os.getpid())


@server.tool(structured_output=False)
def die(status: int = 7) -> str:
    """Leave without an answer."""
    sys.stderr.write("dying as told\n")
    sys.stderr.flush()
    os._exit(status)


def die_once(mark: str) -> str:
    if Path(mark).exists():
        return "second life"
    Path(mark).touch()
    os._exit(9)


server.tool("die_once", structured_output=False)(die_once)
server.tool("die_once_read_only", annotations=READ_ONLY, structured_output=False)(die_once)
server.tool("die_once_idempotent", annotations=IDEMPOTENT, structured_output=False)(die_once)
server.tool("files.read", structured_output=False)(echo)
server.tool("task_complete", structured_output=False)(echo)


def serve(kind: str, server: MCPServer[Any] = server) -> None:
    app = server.streamable_http_app() if kind == "http" else server.sse_app()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", int(sys.argv[2]) if sys.argv[2:3] and sys.argv[2].isdigit() else 0))
    path = {"http": "mcp", "sse": "sse"}[kind]
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/{path}"

    class Announcing(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print(f"READY {url}", flush=True)

    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    Announcing(config).run(sockets=[listening])


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        serve(sys.argv[1])
