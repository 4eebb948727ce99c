"""The model and the remote MCP servers of the soak, in a process of their own. Writes one line, `READY <model> <servers>`.

Which script a conversation follows is in the name of its model, and in the path of its server: `soak-<number>-<fault>`.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.http_peer import Answer, HTTPPeer
from tests.support.http_peer import Recorded as Posted
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text

ANSWER, AGAIN = "Done.", "All is well."

_asked: Counter[str] = Counter()


def turn(request: Recorded) -> Turn:
    """Two calls of a tool, then an answer; unless the fault is the model's own."""
    name = request.body["model"]
    _asked[name] += 1
    fault = name.split("-", 2)[2]
    messages = request.body["messages"]
    if messages[-1]["role"] == "user" and messages[-1]["content"] == "again":
        return text(AGAIN)
    answered = sum(message["role"] == "tool" for message in messages)
    if (wrong := MODEL_FAULTS.get(fault)) is not None and (said := wrong(_asked[name], answered)) is not None:
        return said
    if answered >= 2:
        return text(ANSWER)
    return calls(("leave" if fault == "dies" and not answered else "ping", {}), ids=[f"call_{answered}"])


def once(fault: Turn) -> Callable[[int, int], Turn | None]:
    return lambda asked, _: fault if asked == 1 else None


def always(fault: Turn) -> Callable[[int, int], Turn | None]:
    return lambda *_: fault


START = delta(role="assistant", content="Once upon ")

MODEL_FAULTS: dict[str, Callable[[int, int], Turn | None]] = {
    "overloaded": once(status(429, retry_after="0")),
    "unavailable": once(status(503, retry_after="0")),
    "forbidden": always(status(403)),
    "breaks-off": always(raw(START, then="reset")),
    "stalls": always(raw(START, then="stall")),
    "no-json": always(raw("data: {no json\n\n")),
    "bad-arguments": once(calls(("ping", '{"a": '), ids=["bad"])),
    "unknown-tool": once(calls(("nonesuch", {}), ids=["bad"])),
    "never-done": lambda asked, _: calls(("ping", {}), ids=[f"call_{asked}"]),
}
"""Gets how often the model was asked and how many calls were answered; None goes on as usual."""


# ---------------------------------------------------------------- remote servers

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}

_called: Counter[str] = Counter()


def rpc(id: Any, result: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "result": result}


SERVER_FAULTS: dict[str, Answer] = {
    "http-500": 500,
    "http-reset": "reset",
    "http-lost-session": 404,
    "http-half-event": (200, EVENTS, b'data: {"jsonrpc"'),
    "http-redirect": (307, {"location": "http://127.0.0.2:9/"}),
    "http-page": (200, {"content-type": "text/html"}, b"<html>"),
}
"""What the first call is answered with."""


def serve(request: Posted) -> Answer:
    if request.method != "POST":
        return 405 if request.method == "GET" else 200
    name = request.path.rpartition("/")[2]
    method, id = request.body.get("method"), request.body.get("id")
    if id is None:
        return 202
    if method == "initialize":
        info = {"name": "far", "version": "1"}
        greeting = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
        return 200, {**JSON, "mcp-session-id": name}, json.dumps(rpc(id, greeting)).encode()
    if method == "tools/list":
        return rpc(id, {"tools": [{"name": "ping", "inputSchema": {"type": "object"}}]})
    if method == "tools/call":
        _called[name] += 1
        fault = SERVER_FAULTS.get(name.split("-", 2)[2])
        if fault is not None and _called[name] == 1:
            return fault
        return rpc(id, {"content": [{"type": "text", "text": "pong"}]})
    return {"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no such method"}}


if __name__ == "__main__":
    with OpenAIServer(turn) as model, HTTPPeer(serve) as servers:
        print(f"READY {model.url} {servers.url}", flush=True)
        sys.stdin.read()
