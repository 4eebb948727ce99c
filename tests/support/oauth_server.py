"""An MCP server that wants a login, and the authorization server it names; both in a thread of the test's process.

The MCP part is written by hand, so that a test sees every request as it came and can have it answered in any way.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

TOOLS = [
    {"name": "whoami", "inputSchema": {"type": "object"}},
    {"name": "admin", "inputSchema": {"type": "object"}},
]


@dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    authorization: str | None
    form: dict[str, str]
    query: dict[str, str]


@dataclass
class OAuthWorld:
    """What the two servers do; a test changes it before or between requests.

    Attributes:
        issuer: Who the metadata says it is, and who answers say they are from; ours if None.
        named_issuer: Whom the MCP server names; ours if None.
        denies: The authorization page sends the browser back with this error.
        state: The authorization page answers with this state in place of ours.
        expires_in: Of new tokens, in seconds.
        token_error: (status, body) in place of tokens.
        accepts: Whether the MCP server takes tokens that were issued.
        moved_to: Where the MCP server redirects to.
    """

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    access: dict[str, set[str]] = field(default_factory=dict)
    refresh: dict[str, set[str]] = field(default_factory=dict)
    issuer: str | None = None
    named_issuer: str | None = None
    resource: str | None = None
    challenge: bool = True
    resource_metadata: bool = True
    metadata: dict[str, Any] = field(default_factory=dict)
    has_metadata: bool = True
    registers: bool = True
    denies: str | None = None
    state: str | None = None
    expires_in: int | None = 3600
    token_error: tuple[int, Any] | None = None
    accepts: bool = True
    admin_scope: str | None = None
    protected: bool = True
    moved_to: str = ""
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/mcp"

    @property
    def secrets(self) -> list[str]:
        """Everything that must appear nowhere."""
        return [*self.access, *self.refresh, *self.codes, *(c["client_secret"] for c in self.clients.values())]

    def paths(self, *wanted: str) -> list[str]:
        return [seen.path for seen in self.seen if not wanted or seen.path in wanted]

    def forms(self, grant: str) -> list[dict[str, str]]:
        """What was asked of the token endpoint with this grant."""
        return [seen.form for seen in self.seen if seen.path == "/token" and seen.form.get("grant_type") == grant]

    def issue(self, scope: str | None) -> dict[str, Any]:
        number = next(self.numbers)
        scopes = set((scope or "").split())
        self.access[f"access-token-{number}-secret"] = scopes
        self.refresh[f"refresh-token-{number}-secret"] = scopes
        return {
            "access_token": f"access-token-{number}-secret",
            "refresh_token": f"refresh-token-{number}-secret",
            "token_type": "bearer",
            **({} if self.expires_in is None else {"expires_in": self.expires_in}),
        }

    def end_access(self) -> None:
        """All access tokens are over; refresh tokens still work."""
        self._ended = set(self.access)

    _ended: set[str] = field(default_factory=set)

    # ---- the MCP server

    async def mcp(self, request: Request) -> Response:
        if self.moved_to:
            return Response(status_code=307, headers={"location": self.moved_to})
        held = self._scopes(request)
        if held is None:
            return self._unauthorized()
        if request.method != "POST":
            return Response(status_code=405)
        message = await request.json()
        if "id" not in message:
            return Response(status_code=202)
        if message["method"] == "tools/call" and message["params"]["name"] == "admin":
            needed = self.admin_scope
            if needed is not None and needed not in held:
                header = f'Bearer error="insufficient_scope", scope="{needed}"'
                return Response(status_code=403, headers={"WWW-Authenticate": header})
        return JSONResponse(self._reply(message, held))

    def _scopes(self, request: Request) -> set[str] | None:
        if not self.protected:
            return set()
        token = (request.headers.get("authorization") or "").removeprefix("Bearer ")
        if not self.accepts or token in self._ended:
            return None
        return self.access.get(token)

    def _unauthorized(self) -> Response:
        header = "Bearer"
        if self.challenge:
            header += f' resource_metadata="{self.base}/.well-known/oauth-protected-resource/mcp"'
        return Response(status_code=401, headers={"WWW-Authenticate": header})

    def _reply(self, message: dict[str, Any], held: set[str]) -> dict[str, Any]:
        results: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "protected", "version": "1"},
            },
            "tools/list": {"tools": TOOLS},
            "tools/call": {"content": [{"type": "text", "text": " ".join(["hello", *sorted(held)])}]},
        }
        head = {"jsonrpc": "2.0", "id": message["id"]}
        if message["method"] not in results:
            return {**head, "error": {"code": -32601, "message": "Method not found"}}
        return {**head, "result": results[message["method"]]}

    # ---- HTTP+SSE

    async def sse(self, request: Request) -> Response:
        if self._scopes(request) is None:
            return self._unauthorized()
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._events.put_nowait("event: endpoint\ndata: /messages\n\n")
        return StreamingResponse(self._stream(), media_type="text/event-stream")

    async def _stream(self) -> AsyncIterator[str]:
        while True:
            yield await self._events.get()

    async def messages(self, request: Request) -> Response:
        held = self._scopes(request)
        if held is None:
            return self._unauthorized()
        message = await request.json()
        if message.get("method") == "tools/call":
            report = {"level": "error", "data": {"seen": request.headers["authorization"].removeprefix("Bearer ")}}
            notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": report}
            self._events.put_nowait(f"event: message\ndata: {json.dumps(notice)}\n\n")
        if "id" in message:
            self._events.put_nowait(f"event: message\ndata: {json.dumps(self._reply(message, held))}\n\n")
        return Response(status_code=202)

    # ---- the authorization server

    async def describe_resource(self, _: Request) -> Response:
        if not self.resource_metadata:
            return Response(status_code=404)
        return JSONResponse(
            {"resource": self.resource or self.url, "authorization_servers": [self.named_issuer or self.base]}
        )

    async def describe_issuer(self, _: Request) -> Response:
        if not self.has_metadata:
            return Response(status_code=404)
        described: dict[str, Any] = {
            "issuer": self.issuer or self.base,
            "authorization_endpoint": f"{self.base}/authorize?tenant=1",
            "token_endpoint": f"{self.base}/token",
            "revocation_endpoint": f"{self.base}/revoke",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
        if self.registers:
            described["registration_endpoint"] = f"{self.base}/register"
        return JSONResponse({**described, **self.metadata})

    async def register(self, request: Request) -> Response:
        asked = await request.json()
        id = f"client-{next(self.numbers)}"
        self.clients[id] = {**asked, "client_id": id, "client_secret": f"secret-of-{id}"}
        return JSONResponse(self.clients[id], status_code=201)

    async def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        back = {"state": self.state or asked["state"], "iss": self.issuer or self.base}
        if self.denies:
            back |= {"error": self.denies, "error_description": "the user said no"}
        else:
            back["code"] = f"code-{next(self.numbers)}-secret"
            self.codes[back["code"]] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode(back)}", status_code=302)

    async def token(self, request: Request) -> Response:
        form = {key: str(value) for key, value in (await request.form()).items()}
        if self.token_error is not None:
            status, body = self.token_error
            return JSONResponse(body, status_code=status)
        grant = form["grant_type"]
        if grant == "authorization_code":
            asked = self.codes.pop(form["code"], None)
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if asked is None or challenge != asked["code_challenge"]:
                return JSONResponse({"error": "invalid_grant"}, status_code=400)
            return JSONResponse(self.issue(asked.get("scope")))
        if grant == "refresh_token":  # each works once
            scopes = self.refresh.pop(form["refresh_token"], None)
            if scopes is None:
                return JSONResponse({"error": "invalid_grant", "error_description": "used up"}, status_code=400)
            return JSONResponse(self.issue(" ".join(scopes)))
        issued = self.issue(form.get("scope"))
        self.refresh.pop(issued.pop("refresh_token"))
        return JSONResponse(issued)

    async def revoke(self, request: Request) -> Response:
        form = await request.form()
        self.access.pop(str(form["token"]), None)
        self.refresh.pop(str(form["token"]), None)
        return Response(status_code=200)

    # ---- serving

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Note each request, then answer it."""
        body = b""

        async def read() -> Any:
            nonlocal body
            message = await receive()
            body += message.get("body", b"")
            return message

        request = Request(scope)
        fields = dict(request.query_params)
        seen = Seen(scope["method"], scope["path"], request.headers.get("authorization"), {}, fields)
        self.seen.append(seen)
        await self._app(scope, read, send)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            pairs = (pair.partition("=") for pair in body.decode().replace("+", " ").split("&"))
            seen.form = {unquote(name): unquote(value) for name, _, value in pairs}

    @property
    def _app(self) -> Starlette:
        known = "/.well-known/oauth-protected-resource"
        return Starlette(
            routes=[
                Route("/mcp", self.mcp, methods=["GET", "POST", "DELETE"]),
                Route("/sse", self.sse, methods=["GET"]),
                Route("/messages", self.messages, methods=["POST"]),
                Route(f"{known}/mcp", self.describe_resource),
                Route(f"{known}/sse", self.describe_resource),
                Route("/.well-known/oauth-authorization-server", self.describe_issuer),
                Route("/register", self.register, methods=["POST"]),
                Route("/authorize", self.authorize),
                Route("/token", self.token, methods=["POST"]),
                Route("/revoke", self.revoke, methods=["POST"]),
            ]
        )


@contextmanager
def oauth_world(**changes: Any) -> Iterator[OAuthWorld]:
    """The two servers on one free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        world = OAuthWorld(port=listening.getsockname()[1], **changes)
        config = uvicorn.Config(world, log_level="critical", lifespan="off", timeout_graceful_shutdown=0)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield world
        finally:
            server.should_exit = True
            thread.join(10)
