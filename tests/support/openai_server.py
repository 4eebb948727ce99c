"""A real HTTP server on loopback that speaks the OpenAI chat-completions protocol from a script.

    with OpenAIServer([calls(("add", {"a": 1, "b": 2})), text("3")]) as server:
        client = AsyncInferenceClient(base_url=server.url)

Each request to `/chat/completions` takes the next turn of the script (the last one repeats); what was asked is recorded in
`server.requests`. Turns are built with `text`, `calls`, `status`, `raw` and the fault constructors below.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.http_server import QuietHTTPServer

STALL_LIMIT_S = 180.0  # a stalled answer ends with its server, or after this, so no test can hang on it


@dataclass
class Recorded:
    """One request as the server saw it; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    raw: bytes


@dataclass
class Turn:
    """One answer of the script.

    `events` are payloads of a streamed answer: dictionaries become JSON, strings are sent as they are (a whole line or
    lines), and so are bytes, each as a packet of its own; floats are pauses in seconds. `message` is the answer to a
    request that doesn't ask for a stream. `wire` is all that is sent, in place of an answer in HTTP.
    """

    events: Iterable[dict[str, Any] | str | bytes | float | Callable[[], None]] = ()
    message: dict[str, Any] | None = None
    finish_reason: str = "stop"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    done: bool = True
    eol: str = "\n"
    then: str = "end"  # or "reset" (connection reset), "stall" (nothing more comes)
    wire: Iterable[bytes | float] | None = None


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with one choice whose delta has these fields."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "scripted",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}],
    }


def text(*pieces: str, **turn: Any) -> Turn:
    """An answer in text, a chunk per piece."""
    events = [delta(role="assistant", content=""), *(delta(content=piece) for piece in pieces), delta("stop")]
    return Turn(events, {"role": "assistant", "content": "".join(pieces)}, **turn)


def calls(*wanted: tuple[str, Any], content: str | None = None, ids: Sequence[str] | None = None, **turn: Any) -> Turn:
    """An answer that calls tools: (name, arguments) each; arguments that are text are sent as they are, in two pieces."""
    tool_calls = []
    events: list[Any] = [delta(role="assistant", content=content)]
    for index, (name, arguments) in enumerate(wanted):
        call_id = ids[index] if ids else f"call_{index}"
        whole = arguments if isinstance(arguments, str) else json.dumps(arguments)
        half = len(whole) // 2
        function = {"name": name, "arguments": ""}
        events.append(delta(tool_calls=[{"index": index, "id": call_id, "type": "function", "function": function}]))
        events.extend(
            delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])
            for piece in (whole[:half], whole[half:])
        )
        tool_calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": whole}})
    events.append(delta("tool_calls"))
    return Turn(events, {"role": "assistant", "content": content, "tool_calls": tool_calls}, "tool_calls", **turn)


def status(code: int, body: Any = None, **headers: str) -> Turn:
    """An HTTP error. `headers` with underscores: `retry_after="1"`."""
    payload = body if isinstance(body, (bytes, str)) else json.dumps(body or {"error": {"message": f"scripted {code}"}})
    raw_body = payload.encode() if isinstance(payload, str) else payload
    return Turn(status=code, body=raw_body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def raw(*events: dict[str, Any] | str | bytes | float, **turn: Any) -> Turn:
    """A streamed answer event by event."""
    return Turn(events, **turn)


class OpenAIServer:
    """Serves a script on a free loopback port while its `with` block is open.

    `url` is the base URL (ends in `/v1`). `connections` counts those that were made, `open_connections` those that are
    open. `started` is set when a streamed answer has begun, `gone` when a client went
    away before its answer was whole.
    """

    def __init__(self, turns: Sequence[Turn] | Callable[[Recorded], Turn]) -> None:
        self.requests: list[Recorded] = []
        self.connections = 0
        self.open_connections = 0
        self.started = threading.Event()
        self.gone = threading.Event()
        self._turns = turns
        self._taken = 0
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._server = QuietHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """Bodies of the chat requests so far."""
        return [request.body for request in self.requests if request.path.endswith("/chat/completions")]

    def __enter__(self) -> OpenAIServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _next(self, request: Recorded) -> Turn:
        if callable(self._turns):
            return self._turns(request)
        with self._lock:
            turn = self._turns[min(self._taken, len(self._turns) - 1)]
            self._taken += 1
            return turn

    def _handler(server) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with server._lock:
                    server.connections += 1
                    server.open_connections += 1

            def finish(self) -> None:
                with server._lock:
                    server.open_connections -= 1
                super().finish()

            def log_message(self, *_: Any) -> None:
                """Quiet: pytest shows what matters."""

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    body = json.loads(data) if data else None
                except ValueError:
                    body = None
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Recorded(self.command, self.path, headers, body, data)
                server.requests.append(request)
                turn = server._next(request)
                try:
                    if turn.wire is not None:
                        self._bare(turn.wire, turn.then)
                    elif turn.body is not None:
                        self._whole(turn.status, turn.headers, turn.body)
                    elif body and body.get("stream"):
                        self._stream(turn)
                    else:
                        self._whole(turn.status, turn.headers, json.dumps(_completion(turn)).encode())
                except (BrokenPipeError, ConnectionResetError):
                    server.gone.set()
                    self.close_connection = True

            def _whole(self, code: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(code)
                headers = {"content-type": "application/json", **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, turn: Turn) -> None:
                self.send_response(turn.status)
                headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked", **turn.headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                for line in self._lines(turn):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()
                    server.started.set()
                if turn.then == "stall":
                    self._until_gone()
                    return
                if turn.then == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.close_connection = True
                    self.connection.close()
                    return
                self.wfile.write(b"0\r\n\r\n")

            def _bare(self, wire: Iterable[bytes | float], then: str) -> None:
                self.close_connection = True
                for piece in wire:
                    if server._closed.is_set():
                        return
                    if isinstance(piece, bytes):
                        self.wfile.write(piece)
                    else:
                        server._closed.wait(piece)
                if then == "stall":
                    self._until_gone()

            def _until_gone(self) -> None:
                deadline = time.monotonic() + STALL_LIMIT_S
                self.connection.settimeout(0.05)
                while not server._closed.is_set() and time.monotonic() < deadline:
                    try:
                        if not self.connection.recv(1):
                            server.gone.set()
                            break
                    except TimeoutError:
                        continue
                    except OSError:
                        server.gone.set()
                        break
                self.close_connection = True

            def _lines(self, turn: Turn) -> Iterator[bytes]:
                for event in turn.events:
                    if server._closed.is_set():
                        return
                    if isinstance(event, (int, float)):
                        server._closed.wait(event)
                    elif callable(event):
                        event()
                    elif isinstance(event, str):
                        yield event.encode()
                    elif isinstance(event, bytes):
                        yield event
                    else:
                        yield f"data: {json.dumps(event)}{turn.eol}{turn.eol}".encode()
                if turn.done and turn.then == "end":
                    yield f"data: [DONE]{turn.eol}{turn.eol}".encode()

        return Handler


def _completion(turn: Turn) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "scripted",
        "choices": [{"index": 0, "message": turn.message, "finish_reason": turn.finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


@contextmanager
def scripted_servers() -> Iterator[tuple[list[OpenAIServer], Callable[..., OpenAIServer]]]:
    """Those that were started, and what starts one: `start(turn, ...)` or `start(function)`. All end with the block."""
    servers: list[OpenAIServer] = []

    def start(*turns: Turn | Callable[[Recorded], Turn]) -> OpenAIServer:
        script: Any = turns[0] if callable(turns[0]) else turns
        servers.append(OpenAIServer(script).__enter__())
        return servers[-1]

    try:
        yield servers, start
    finally:
        for server in servers:
            server.__exit__()
