"""A small HTTP server on loopback whose every answer a test decides, and an MCP server of 2025-06-18 made with it."""

from __future__ import annotations

import json
import socket
import struct
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.http_server import QuietHTTPServer

STALL_LIMIT_S = 180.0


@dataclass
class Recorded:
    """One request; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


Answer = int | str | dict[str, Any] | tuple[int, dict[str, str]] | tuple[int, dict[str, str], bytes]
"""A status; "stall" (no answer) or "reset"; a JSON body; a status with headers and, if wanted, a body."""


class HTTPPeer:
    """Answers with `answer(request)` while its `with` block is open."""

    def __init__(self, answer: Callable[[Recorded], Answer]) -> None:
        self.requests: list[Recorded] = []
        self.sessions: set[str] = set()
        self._answer = answer
        self._closed = threading.Event()
        self._server = QuietHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def forget_sessions(self) -> None:
        self.sessions.clear()

    def __enter__(self) -> HTTPPeer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @classmethod
    def legacy_mcp(cls) -> HTTPPeer:
        """An MCP server with sessions and JSON answers; its tools are the keys of `_TOOLS`, and `count`."""
        peer: HTTPPeer
        counted = 0

        def answer(request: Recorded) -> Answer:
            nonlocal counted
            if request.method != "POST":
                return 200 if request.method == "DELETE" else 405
            message = request.body
            method, params = message["method"], message.get("params") or {}
            if method == "initialize":
                session = uuid.uuid4().hex
                peer.sessions.add(session)
                info = {"name": "old", "version": "1"}
                result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
                reply = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
                return 200, {"content-type": "application/json", "mcp-session-id": session}, reply
            if request.headers.get("mcp-session-id") not in peer.sessions:
                return 404 if "mcp-session-id" in request.headers else 400
            if "id" not in message:
                return 202
            if method == "tools/list":
                names = ["count", *_TOOLS]
                tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
                return {"jsonrpc": "2.0", "id": message["id"], "result": {"tools": tools}}
            if params["name"] == "count":
                counted += 1
                content = [{"type": "text", "text": str(counted)}]
                return {"jsonrpc": "2.0", "id": message["id"], "result": {"content": content}}
            return _TOOLS[params["name"]]

        peer = cls(answer)
        return peer

    def _handler(peer) -> type[BaseHTTPRequestHandler]:  # `self` is the handler's below
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Quiet: pytest shows what matters."""

            def _any(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Recorded(self.command, self.path, headers, json.loads(data) if data else None)
                peer.requests.append(request)
                try:
                    self._send(peer._answer(request))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True

            do_GET = do_POST = do_DELETE = _any

            def _send(self, answer: Answer) -> None:
                if answer == "stall":
                    peer._closed.wait(STALL_LIMIT_S)
                    self.close_connection = True
                    return
                if answer == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                headers: dict[str, str] = {}
                body = b""
                if isinstance(answer, dict):
                    code, headers, body = 200, {"content-type": "application/json"}, json.dumps(answer).encode()
                elif isinstance(answer, tuple):
                    code, headers, *rest = answer
                    body = rest[0] if rest else b""
                else:
                    assert isinstance(answer, int)
                    code = answer
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        return Handler


_RPC_ERROR = {"jsonrpc": "2.0", "id": None, "error": {"code": -32050, "message": "no such table"}}
_TOOLS: dict[str, Answer] = {
    "status_503": 503,
    "rpc_error": (400, {"content-type": "application/json"}, json.dumps(_RPC_ERROR).encode()),
    "long": (200, {"content-type": "application/json"}, b"x" * 200_000),
    "reset": "reset",
}
