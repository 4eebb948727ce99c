"""A stdio MCP server with many tools, without the SDK: `python many_tools_server.py COUNT TOPIC...`.

Tools `<topic>_<number>` take a `value` and return their name with it; there are COUNT of them, spread over the topics.
"""

from __future__ import annotations

import sys
from typing import Any

from bad_server import serve, text  # beside this file

COUNT, TOPICS = int(sys.argv[1]), sys.argv[2:]
SCHEMA = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}


def tool(number: int) -> dict[str, Any]:
    topic = TOPICS[number % len(TOPICS)]
    described = f"Handles {topic} number {number}. " + f"It works on {topic} in many ways. " * 5
    return {"name": f"{topic}_{number}", "description": described, "inputSchema": SCHEMA}


def call(request: dict[str, Any]) -> dict[str, Any]:
    return text(f"{request['params']['name']} got {request['params']['arguments']['value']}")


if __name__ == "__main__":
    tools = [tool(number) for number in range(COUNT)]
    serve(page=lambda request: {"tools": tools}, call=call)
