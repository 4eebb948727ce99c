"""An MCP server that tells everybody its first argument: `python leaky_server.py SECRET [dies]`.

On standard error, in the error of the tool `fail`, and in its last words when `crash` is called.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from bad_server import serve, text  # beside this file

TOOLS = [{"name": name, "inputSchema": {"type": "object", "properties": {}}} for name in ("fail", "crash")]


def call(request: dict[str, Any]) -> dict[str, Any] | None:
    words = f"I was started with {sys.argv[1]}, I was"
    if request["params"]["name"] == "crash":
        sys.stderr.write(f"{words}\n")
        sys.stderr.flush()
        os._exit(3)
    return {**text(words), "isError": True}


if __name__ == "__main__":
    sys.stderr.write(f"starting with {sys.argv[1]}\n")
    sys.stderr.flush()
    if "dies" in sys.argv:
        os._exit(3)
    serve(page=lambda request: {"tools": TOOLS}, call=call)
