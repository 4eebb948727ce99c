"""A stdio MCP server of the SDK's that changes, takes its time and asks back: `python busy_server.py`.

In a process of its own it speaks the newest protocol; `server` can be used in this process too.
"""

from __future__ import annotations

import warnings
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

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


@server.tool(structured_output=False)
async def complain(ctx: Context) -> str:  # type: ignore[type-arg]
    """Log something."""
    with warnings.catch_warnings(action="ignore"):
        await ctx.log("warning", {"paper": "low"}, logger_name="tray")
    return "done"


QUESTIONS: dict[str, Any] = {
    "form": ElicitRequest(
        params=ElicitRequestFormParams(
            message="Which\x1b[2J color?",
            requested_schema={
                "type": "object",
                "properties": {"color": {"type": "string"}, "size": {"type": "integer", "default": 3}},
                "required": ["color"],
            },
        )
    ),
    "url": ElicitRequest(
        params=ElicitRequestURLParams(message="Log in", url="https://example.com/login", elicitation_id="1")
    ),
    "strange url": ElicitRequest(
        params=ElicitRequestURLParams(message="Log in", url="file:///etc", elicitation_id="2")
    ),
    "text": CreateMessageRequest(
        params=CreateMessageRequestParams(
            messages=[SamplingMessage(role="user", content=TextContent(type="text", text="Say hi."))],
            system_prompt="Be brief.",
            max_tokens=1_000_000,
        )
    ),
    "roots": ListRootsRequest(),
}


@server.tool(structured_output=False)
async def ask(what: str, ctx: Context) -> Any:  # type: ignore[type-arg]
    """Ask the client, in the way of the protocol that is spoken, and say what it answered."""
    question = QUESTIONS[what]
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        if not ctx.input_responses:
            return InputRequiredResult(input_requests={"question": question}, request_state="asked")
        return ctx.input_responses["question"].model_dump_json(exclude_none=True)
    kind = {"text": CreateMessageResult, "roots": ListRootsResult}.get(what, ElicitResult)
    answer = await ctx.session.send_request(question, kind)
    return answer.model_dump_json(exclude_none=True)


if __name__ == "__main__":
    server.run("stdio")
