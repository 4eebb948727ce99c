"""A well-behaved MCP server over stdio without the SDK, so that it starts at once: `python quick_server.py [MARKER]`.

Tools: `echo` returns its `text`, after the server's process id where `with_pid` is true; `wait` creates the file MARKER
and is never answered; `refuse` fails; `meta` returns what its call had as `_meta`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bad_server import serve, text  # beside this file

TOOLS = [
    {"name": name, "inputSchema": {"type": "object", "properties": properties}}
    for name, properties in {
        "echo": {"text": {"type": "string"}, "with_pid": {"type": "boolean"}},
        "wait": {},
        "refuse": {},
        "meta": {},
    }.items()
]


def call(request: dict[str, Any]) -> dict[str, Any] | None:
    name, arguments = request["params"]["name"], request["params"].get("arguments") or {}
    if name == "wait":
        Path(sys.argv[1]).touch()
        return None
    if name == "meta":
        return text(json.dumps(request["params"].get("_meta") or {}))
    if name == "refuse":
        return {**text("the tool does not want to"), "isError": True}
    return text(f"{os.getpid()} {arguments['text']}" if arguments.get("with_pid") else arguments["text"])


if __name__ == "__main__":
    serve(page=lambda request: {"tools": TOOLS}, call=call)
