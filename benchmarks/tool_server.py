"""An MCP server with tools that cost nothing, in a process of its own.

    python benchmarks/tool_server.py stdio TOOLS     serves its standard input and output
    python benchmarks/tool_server.py http TOOLS      prints its port, serves streamable HTTP until it is ended

`look` answers at once, `wait` after 100 ms; the rest of TOOLS tools are there to be listed. Over HTTP each answer is an
event stream, as from servers made with the SDK; `GET /stats` says how many TCP connections there were. Written by hand
with the standard library alone, for the handshake of before 2026-07-28 that all clients know.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

WAIT_S = 0.1
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "description": "How many."}}}


def tools(count: int) -> list[dict[str, Any]]:
    names = ["look", "wait", *(f"tool_{number}" for number in range(2, count))]
    return [{"name": name, "description": f"Does {name} for you.", "inputSchema": SCHEMA} for name in names[:count]]


async def answer(request: dict[str, Any], listed: list[dict[str, Any]]) -> dict[str, Any]:
    """The answer to a JSON-RPC request."""
    reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
    match request["method"]:
        case "initialize":
            version = request["params"]["protocolVersion"]
            info = {"name": "bench", "version": "1"}
            return {**reply, "result": {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}}
        case "tools/list":
            return {**reply, "result": {"tools": listed}}
        case "tools/call":
            if request["params"]["name"] == "wait":
                await asyncio.sleep(WAIT_S)
            return {**reply, "result": {"content": [{"type": "text", "text": "It is 42."}], "isError": False}}
        case "ping":
            return {**reply, "result": {}}
    return {**reply, "error": {"code": -32601, "message": "Method not found"}}


async def serve_stdio(listed: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    out = sys.stdout.buffer

    async def reply(request: dict[str, Any]) -> None:
        out.write(json.dumps(await answer(request, listed)).encode() + b"\n")
        out.flush()

    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        request = json.loads(line)
        if "id" in request and "method" in request:
            task = asyncio.create_task(reply(request))
            running.add(task)
            task.add_done_callback(running.discard)


class Http:
    def __init__(self, listed: list[dict[str, Any]]) -> None:
        self.listed = listed
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await self.reply(head.lower(), reader, writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()

    async def reply(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head.startswith(b"get /stats"):
            self.connections -= 1  # the one that asks
            body = json.dumps({"connections": self.connections}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            return
        if not head.startswith(b"post"):
            status = b"405 Method Not Allowed" if head.startswith(b"get") else b"200 OK"
            writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\n\r\n" % status)
            return
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        request = json.loads(await reader.readexactly(int(length.split(b":")[1])))
        if "id" not in request or "method" not in request:
            writer.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")
            return
        event = b"event: message\ndata: %s\n\n" % json.dumps(await answer(request, self.listed)).encode()
        session = b"mcp-session-id: s%d\r\n" % os.getpid() if request["method"] == "initialize" else b""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n" + session)
        writer.write(b"transfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(event), event))
        await self.end(reader, writer)

    async def end(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The end of an answer's stream. It comes by itself, as from a server that closes its stream after the answer."""
        await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")


async def serve_http(listed: list[dict[str, Any]]) -> None:
    server = await asyncio.start_server(Http(listed).serve, "127.0.0.1", 0, limit=2**26, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run({"stdio": serve_stdio, "http": serve_http}[sys.argv[1]](tools(int(sys.argv[2]))))
