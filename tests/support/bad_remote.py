"""`bad_server.py` and `wild_server.py` behind HTTP: `bad_remote.py http | json | sse BEHAVIOUR [ARGUMENT]`.

It writes one line, `READY <url>`.

For each session a process of the stdio server runs, and what it writes is passed on line by line as it is: as events of
the answer to a request ("http"), as its body ("json"), or on the one stream of the older transport ("sse").
"""

from __future__ import annotations

import json
import queue
import re
import signal
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

KIND, SERVER = sys.argv[1], [sys.executable, str(Path(__file__).parent / "wild_server.py"), *sys.argv[2:]]

_ID = re.compile(rb'"id": ?(\d+)')


class Session:
    """One process, and the requests that wait for its lines."""

    def __init__(self) -> None:
        self.key = uuid.uuid4().hex
        self.process = subprocess.Popen(
            SERVER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.everything: queue.Queue[bytes | None] = queue.Queue(maxsize=1_000)
        self.waiting: dict[int, queue.Queue[bytes | None]] = {}

    def send(self, body: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(body.replace(b"\n", b" ") + b"\n")
        self.process.stdin.flush()

    def read(self) -> None:
        """An answer goes to its request, anything else to one that waits, or to the one stream there is."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = _ID.search(line[:100]) or _ID.search(line[-100:])
            answered = self.waiting.get(int(found[1])) if found else None
            target = answered or next(iter(list(self.waiting.values())), None)
            if target is not None:
                target.put(line.rstrip(b"\n"))
            elif KIND == "sse":
                self.everything.put(line.rstrip(b"\n"))
            if answered is not None:
                answered.put(None)
        for waiting in [self.everything, *self.waiting.values()]:
            waiting.put(None)


SESSIONS: dict[str, Session] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        if KIND != "sse":
            self.whole(405)
            return
        session = self.begin()
        self.start_events()
        self.event(b"/message?" + session.key.encode(), "endpoint")
        threading.Thread(target=session.read, daemon=True).start()
        try:
            while (line := session.everything.get()) is not None:
                self.event(line)
            self.wfile.write(b"0\r\n\r\n")
        finally:
            session.process.kill()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if KIND == "sse":
            SESSIONS[self.path.partition("?")[2]].send(body)
            self.whole(202)
            return
        message = json.loads(body)
        session = SESSIONS.get(self.headers.get("mcp-session-id", ""))
        if session is None:
            session = self.begin()
            threading.Thread(target=session.read, daemon=True).start()
        if "id" not in message or "method" not in message:
            session.send(body)
            self.whole(202)
            return
        answer = session.waiting[message["id"]] = queue.Queue(maxsize=1_000)
        session.send(body)
        try:
            if KIND == "json":
                self.whole(200, answer.get() or b"", {"mcp-session-id": session.key})
                return
            self.start_events({"mcp-session-id": session.key})
            while (line := answer.get()) is not None:
                self.event(line)
            self.wfile.write(b"0\r\n\r\n")
        finally:
            del session.waiting[message["id"]]

    def do_DELETE(self) -> None:
        SESSIONS.pop(self.headers["mcp-session-id"]).process.kill()
        self.whole(200)

    def begin(self) -> Session:
        session = Session()
        SESSIONS[session.key] = session
        return session

    def whole(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def start_events(self, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"content-type": "text/event-stream", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def event(self, line: bytes, name: str = "message") -> None:
        data = b"event: %s\ndata: %s\n\n" % (name.encode(), line)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()


class Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200  # connections that may come at the same moment

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that its processes are ended, too
    server = Quiet(("127.0.0.1", 0), Handler)
    print(f"READY http://127.0.0.1:{server.server_port}/{'sse' if KIND == 'sse' else 'mcp'}", flush=True)
    try:
        server.serve_forever()
    finally:
        for session in SESSIONS.values():
            session.process.kill()
