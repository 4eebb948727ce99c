"""An MCP server whose tool `repeat` answers with the parameters of its call, as JSON."""

from __future__ import annotations

import json

from bad_server import serve, text  # beside this file

TOOLS = [{"name": "repeat", "inputSchema": {"type": "object", "properties": {}}}]

if __name__ == "__main__":
    serve(page=lambda request: {"tools": TOOLS}, call=lambda request: text(json.dumps(request["params"])))
