"""An MCP server that tells what it knows of itself, wherever it can: `python telling_server.py ARGUMENTS`.

Its environment, its arguments and the folder it runs in: on standard error, on standard output beside the protocol, in its
instructions, in the description of a tool, in reports, in results and in errors of tools, and in its last words.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from bad_server import answer, requests, say, text  # beside this file

KNOWN = json.dumps({"arguments": sys.argv[1:], "environment": dict(os.environ)})


def tool(name: str) -> dict[str, Any]:
    return {"name": name, "description": f"I know {KNOWN}", "inputSchema": {"type": "object", "properties": {}}}


def called(request: dict[str, Any]) -> None:
    name = request["params"]["name"]
    report = {"level": "error", "data": f"reporting {KNOWN}"}
    say({"method": "notifications/message", "params": report})
    if name == "crash":
        sys.stderr.write(f"crashing with {KNOWN}\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "refuse":
        say({"id": request["id"], "error": {"code": -32000, "message": f"refused with {KNOWN}"}})
    else:
        answer(request, {**text(f"called with {KNOWN}"), "isError": name == "fail"})


if __name__ == "__main__":
    sys.stderr.write(f"starting with {KNOWN}\n")
    sys.stderr.flush()
    print("not the protocol:", KNOWN, flush=True)
    for request in requests():
        if request["method"] == "initialize":
            result = {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}, "logging": {}},
                "serverInfo": {"name": "telling", "version": "1"},
                "instructions": f"I was started with {KNOWN}",
            }
            answer(request, result)
        elif request["method"] == "tools/list":
            answer(request, {"tools": [tool(name) for name in ("tell", "fail", "refuse", "crash")]})
        elif request["method"] == "tools/call":
            called(request)
        else:
            say({"id": request["id"], "error": {"code": -32601, "message": f"no method; {KNOWN}"}})
