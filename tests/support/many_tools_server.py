"""An MCP server with many tools, over stdio, with the SDK: `python many_tools_server.py COUNT TOPIC...`.

Tools `<topic>_<number>` take a `value` and return their name with it; there are COUNT of them, spread over the topics.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from mcp.server.mcpserver import MCPServer


def tool_called(name: str) -> Callable[[str], str]:
    def act(value: str) -> str:
        return f"{name} got {value}"

    return act


def main() -> None:
    count, topics = int(sys.argv[1]), sys.argv[2:]
    server = MCPServer("many")
    for number in range(count):
        topic = topics[number % len(topics)]
        name = f"{topic}_{number}"
        described = f"Handles {topic} number {number}. " + f"It works on {topic} in many ways. " * 5
        server.add_tool(tool_called(name), name=name, description=described)
    server.run("stdio")


if __name__ == "__main__":
    main()
