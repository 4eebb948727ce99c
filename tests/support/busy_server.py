"""A stdio MCP server of the SDK's that changes, takes its time and asks back: `python busy_server.py`.

In a process of its own it speaks the newest protocol; `server` can be used in this process too.
"""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.exceptions import UrlElicitationRequiredError
from mcp.types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    CreateMessageResultWithTools,
    ElicitCompleteNotification,
    ElicitCompleteNotificationParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    ModelHint,
    ModelPreferences,
    SamplingMessage,
    TextContent,
    Tool,
    ToolChoice,
    ToolResultContent,
    ToolUseContent,
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


ALL_KINDS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Name", "minLength": 2, "maxLength": 20},
        "mail": {"type": "string", "format": "email"},
        "born": {"type": "string", "format": "date"},
        "age": {"type": "integer", "minimum": 18, "maximum": 120},
        "share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
        "member": {"type": "boolean", "default": True},
        "size": {"type": "string", "enum": ["s", "l"], "default": "l"},
        "color": {"type": "string", "oneOf": [{"const": "r", "title": "Red"}, {"const": "g", "title": "Green"}]},
        "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b", "c"]}, "minItems": 1, "maxItems": 2},
        "days": {
            "type": "array",
            "items": {"anyOf": [{"const": "mo", "title": "Monday"}, {"const": "tu", "title": "Tuesday"}]},
            "default": ["mo"],
        },
    },
    "required": ["name", "age"],
}

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
    "kinds": ElicitRequest(params=ElicitRequestFormParams(message="Everything", requested_schema=ALL_KINDS)),
    "tools": CreateMessageRequest(
        params=CreateMessageRequestParams(
            messages=[
                SamplingMessage(role="user", content=TextContent(text="What is 2 + 3?")),
                SamplingMessage(
                    role="assistant",
                    content=[ToolUseContent(id="c1", name="math.add", input={"a": 2, "b": 3})],
                ),
                SamplingMessage(
                    role="user", content=[ToolResultContent(tool_use_id="c1", content=[TextContent(text="5")])]
                ),
            ],
            model_preferences=ModelPreferences(hints=[ModelHint(name="other")], cost_priority=0.25),
            max_tokens=10,
            tools=[Tool(name="math.add", description="Add.", input_schema={"type": "object", "properties": {}})],
            tool_choice=ToolChoice(mode="required"),
        )
    ),
}


@server.tool(structured_output=False)
async def ask(what: str, ctx: Context) -> Any:  # type: ignore[type-arg]
    """Ask the client, in the way of the protocol that is spoken, and say what it answered."""
    question = QUESTIONS[what]
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        if not ctx.input_responses:
            return InputRequiredResult(input_requests={"question": question}, request_state="asked")
        return ctx.input_responses["question"].model_dump_json(exclude_none=True, by_alias=True)
    kinds = {"text": CreateMessageResult, "tools": CreateMessageResultWithTools, "roots": ListRootsResult}
    kind: Any = kinds.get(what, ElicitResult)
    answer = await ctx.session.send_request(question, kind)
    return str(answer.model_dump_json(exclude_none=True, by_alias=True))


@server.tool(structured_output=False)
async def rounds(count: int, ctx: Context) -> Any:  # type: ignore[type-arg]
    """Ask that many times for the color, one after the other, keeping what was answered in the state."""
    answered = [] if ctx.request_state is None else ctx.request_state.split(",")
    answered += [r.content["color"] for r in (ctx.input_responses or {}).values()]
    if len(answered) < count:
        state = ",".join(answered) or None
        return InputRequiredResult(input_requests={f"q{len(answered)}": QUESTIONS["form"]}, request_state=state)
    return " ".join(answered)


@server.tool(structured_output=False)
async def many_questions(count: int, ctx: Context) -> Any:  # type: ignore[type-arg]
    """Ask for the color that many times at once, or one after the other, and say how many answers were accepted."""
    if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
        if not ctx.input_responses:
            return InputRequiredResult(input_requests={f"q{n}": QUESTIONS["form"] for n in range(count)})
        answers: list[Any] = list(ctx.input_responses.values())
    else:
        answers = [await ctx.session.send_request(QUESTIONS["form"], ElicitResult) for _ in range(count)]
    return str(sum(answer.action == "accept" for answer in answers))


opened: list[str] = []


@server.tool(structured_output=False)
async def behind_a_page(ctx: Context) -> str:  # type: ignore[type-arg]
    """Answer only once a page was opened; say that it was done a moment after it was asked for."""
    if not opened:
        opened.append("1")
        session = ctx.session

        async def done() -> None:
            params = ElicitCompleteNotificationParams(elicitation_id="page-1")
            await session.send_notification(ElicitCompleteNotification(params=params))

        asyncio.get_running_loop().call_later(0.05, lambda: waiting.append(asyncio.create_task(done())))
        page = ElicitRequestURLParams(message="Log in", url="https://example.com/login", elicitation_id="page-1")
        raise UrlElicitationRequiredError([page])
    opened.clear()
    return "the page was opened"


waiting: list[asyncio.Task[None]] = []


asking = MCPServer("asking", log_level="ERROR")


@asking.prompt()
async def paint(ctx: Context) -> Any:  # type: ignore[type-arg]
    """A prompt that asks before it is filled in."""
    if not ctx.input_responses:
        return InputRequiredResult(input_requests={"q": QUESTIONS["form"]}, request_state="asked")
    return f"Paint it {ctx.input_responses['q'].content['color']}."


if __name__ == "__main__":
    server.run("stdio")
