"""A server as people write them with fastmcp, whose environment it needs: `fastmcp_server.py stdio | http | sse [PORT]`."""

from __future__ import annotations

import base64
import sys
from dataclasses import dataclass

from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.utilities.types import Image
from mcp.types import ToolListChangedNotification

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

server = FastMCP("fast", instructions="Weather of invented cities.")


@dataclass
class Weather:
    city: str
    degrees: float


@dataclass
class Order:
    color: str
    size: int = 3


@server.tool
def weather(city: str) -> Weather:
    """The weather in a city."""
    return Weather(city, 21.5)


@server.tool
def picture() -> Image:
    """A picture of one pixel."""
    return Image(data=PIXEL, format="png")


@server.tool
def fail() -> str:
    """Fail."""
    raise ToolError("no paper")


@server.tool
async def work(steps: int, ctx: Context) -> str:
    """Report each step, and log at the end."""
    for step in range(steps):
        await ctx.report_progress(step + 1, steps, f"step {step + 1}")
    await ctx.warning("paper is low")
    return "done"


@server.tool
async def order(ctx: Context) -> str:
    """Ask what is wanted."""
    answer = await ctx.elicit("Which one?", Order)
    return f"{answer.action} {getattr(answer, 'data', None)}"


@server.tool
async def learn(word: str, ctx: Context) -> str:
    """Offer one more tool from now on."""

    def said() -> str:
        return word

    server.tool(said, name=word)
    await ctx.send_notification(ToolListChangedNotification())
    return "learned"


@server.resource("notes://today")
def today() -> str:
    """What is to be done."""
    return "water the plants"


@server.prompt
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Say hello to {name}."


if __name__ == "__main__":
    if sys.argv[1] == "stdio":
        server.run("stdio", show_banner=False)
    else:
        server.run(sys.argv[1], show_banner=False, host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
