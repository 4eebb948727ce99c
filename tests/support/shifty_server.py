"""A stdio MCP server without the SDK that is what a file says at the moment: `python shifty_server.py STATE`.

STATE is JSON, read anew for each request: `tools` as they are listed; `modern`, whether the protocol of 2026-07-28 is
spoken (and none before it) in place of the handshake; `terse`, that without what is only needed to keep answers;
`ttl_ms`, how long what it says of itself may be kept; `version`, its own. The tool `ask` asks back (`what`: "form",
"roots" or both), `announce` says that the tools have changed, `leave` ends the process. What it is asked is noted in
STATE.log, a method per line.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bad_server import answer, requests, say, text  # beside this file

STATE = Path(sys.argv[1])


FORM = {"type": "object", "properties": {"color": {"type": "string"}, "size": {"type": "integer", "default": 3}}}
QUESTIONS = {
    "form": {"method": "elicitation/create", "params": {"message": "Which\x1b[2J color?", "requestedSchema": FORM}},
    "roots": {"method": "roots/list", "params": {}},
}


def ask(params: dict[str, Any]) -> dict[str, Any]:
    """Questions, one after the other; then what was answered last, and the state, which is all that is known of the call."""
    wanted = [
        what for what in params["arguments"]["what"].split() if what not in params.get("requestState", "").split()
    ]
    if "inputResponses" not in params or wanted[1:]:
        state = params.get("requestState", "begun")
        if "inputResponses" in params:
            state, wanted = f"{state} {wanted[0]}", wanted[1:]
        return {
            "resultType": "input_required",
            "inputRequests": {"question": QUESTIONS[wanted[0]]},
            "requestState": state,
        }
    told = {"answer": params["inputResponses"]["question"], "state": params["requestState"]}
    return {"resultType": "complete", **text(json.dumps(told))}


def result_of(request: dict[str, Any], state: dict[str, Any]) -> dict[str, Any] | None:
    info = {"name": "shifty", "version": state.get("version", "1")}
    capabilities = {"tools": {"listChanged": True}}
    modern = state.get("modern", False)
    head = {"resultType": "complete", "ttlMs": state.get("ttl_ms", 0), "cacheScope": "private"} if modern else {}
    if state.get("terse"):
        head = {}
    match request["method"]:
        case "server/discover" if modern:
            return {**head, "supportedVersions": ["2026-07-28"], "capabilities": capabilities, "serverInfo": info}
        case "initialize" if not modern:
            return {"protocolVersion": "2025-06-18", "capabilities": capabilities, "serverInfo": info}
        case "tools/list":
            return {**head, "tools": state["tools"]}
        case "tools/call":
            if request["params"]["name"] == "ask":
                return ask(request["params"])
            if request["params"]["name"] == "leave":
                os._exit(3)
            if request["params"]["name"] == "announce":
                say({"method": "notifications/tools/list_changed"})
            return {**head, **text(f"called {request['params']['name']}")}
    return None


if __name__ == "__main__":
    ready = False
    for request in requests():
        state = json.loads(STATE.read_text())
        with open(f"{STATE}.log", "a") as log:
            log.write(request["method"] + "\n")
        ready = ready or request["method"] in ("initialize", "server/discover") or state.get("modern", False)
        result = result_of(request, state)
        if not ready:
            say({"id": request["id"], "error": {"code": -32602, "message": "not initialized"}})
        elif result is None:
            say({"id": request["id"], "error": {"code": -32601, "message": f"no method {request['method']}"}})
        else:
            answer(request, result)
