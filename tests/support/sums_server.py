"""A well-behaved MCP server over stdio without the SDK, so that it starts at once: adds, greets and fails.

`add` and `greet` answer with text, `greet` with the variable GREETING; `fail` fails.
"""

from __future__ import annotations

import os
from typing import Any

from bad_server import serve, text  # beside this file

SCHEMAS: dict[str, dict[str, Any]] = {
    "add": {"a": {"type": "integer"}, "b": {"type": "integer"}},
    "greet": {"name": {"type": "string"}},
    "fail": {},
}
TOOLS = [
    {"name": name, "inputSchema": {"type": "object", "properties": properties, "required": list(properties)}}
    for name, properties in SCHEMAS.items()
]


def call(request: dict[str, Any]) -> dict[str, Any] | None:
    name, arguments = request["params"]["name"], request["params"].get("arguments") or {}
    try:
        match name:
            case "add":
                return text(str(int(arguments["a"]) + int(arguments["b"])))
            case "greet":
                return text(f"{os.environ['GREETING']}, {arguments['name']}")
            case _:
                raise ValueError("on purpose")
    except (KeyError, TypeError, ValueError) as error:
        return {**text(f"{name} failed: {error}"), "isError": True}


if __name__ == "__main__":
    serve(page=lambda request: {"tools": TOOLS}, call=call)
