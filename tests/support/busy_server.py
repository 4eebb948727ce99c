"""A stdio MCP server of the SDK's that changes, takes its time and asks back: `python busy_server.py`.

In a process of its own it speaks the newest protocol; `server` can be used in this process too.
"""

from __future__ import annotations

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("busy", log_level="ERROR")


@server.tool(structured_output=False)
async def learn(word: str, ctx: Context) -> str:  # type: ignore[type-arg]
    """Offer one more tool from now on, of this name."""
    server.add_tool(lambda: word, name=word, description=f"Say {word}.", structured_output=False)
    await ctx.notify_tools_changed()
    return "learned"


@server.tool(structured_output=False)
async def work(steps: int, seconds: float, ctx: Context) -> str:  # type: ignore[type-arg]
    """Take that many steps of that many seconds, and report each."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
        await anyio.sleep(seconds)
    return "done"


if __name__ == "__main__":
    server.run("stdio")
