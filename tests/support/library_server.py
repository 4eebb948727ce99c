"""An MCP server with resources, prompts and instructions: `python library_server.py stdio | http | sse`, or `build()`.

Over http and sse it says `READY <url>` once it listens, as mcp_server.py does.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from mcp.server.caching import CacheHint
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import AssistantMessage, UserMessage
from mcp.types import (
    CallToolResult,
    Completion,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    ListPromptsResult,
    ListResourcesResult,
    PaginatedRequestParams,
    Resource,
    ResourceLink,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
INSTRUCTIONS = "Read a book before you\x1b[2J lend it.\nNever lend two."
HELD_S = 3_600


def build(*, endless: bool = False, ttl: bool = False, instructions: str | None = INSTRUCTIONS) -> MCPServer[Any]:
    """A new library; its list of resources has three pages, or no end."""
    hints = {"prompts/list": CacheHint(ttl_ms=HELD_S * 1000)} if ttl else None
    server: MCPServer[Any] = MCPServer(
        "library",
        instructions=instructions,
        log_level="ERROR",
        cache_hints=hints,  # type: ignore[arg-type]
    )
    seen: dict[str, Any] = {"subscribed": [], "level": None, "listings": 0, "prompt listings": 0}
    _add_resources(server)
    _add_prompts(server)
    _add_tools(server, seen)
    _add_handlers(server, seen, endless)
    return server


def _add_resources(server: MCPServer[Any]) -> None:
    @server.resource("book://moby-dick", name="moby", title="Moby\x1b[1m Dick", mime_type="text/plain")
    def moby() -> str:
        """A whale of a book."""
        return "Call me Ishmael."

    @server.resource("picture://pixel", name="pixel", mime_type="image/png")
    def pixel() -> bytes:
        import base64

        return base64.b64decode(PIXEL)

    @server.resource("long://text", name="long", mime_type="text/plain")
    def long() -> str:
        return "x" * 100_000

    @server.resource("shelf://{room}/{number}", name="shelf", description="Books of a shelf.", mime_type="text/plain")
    def shelf(room: str, number: str) -> str:
        return f"shelf {number} in {room}"


def _add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt(title="Review a book")
    def review(book: str, tone: str = "kind") -> list[Any]:
        """Ask for a review."""
        return [
            UserMessage(f"Review {book}, and be {tone}."),
            UserMessage(
                EmbeddedResource(
                    type="resource",
                    resource=TextResourceContents(uri=f"book://{book}", text="Call me...", mime_type="text/plain"),
                )
            ),
            UserMessage(ImageContent(type="image", data=PIXEL, mime_type="image/png")),
            AssistantMessage("Let me read."),
        ]

    @server.prompt()
    def hello() -> str:
        return "Say hello."

    @server.completion()
    async def complete(ref: Any, argument: Any, context: Any) -> Completion:
        known = {"book": ["moby-dick", "middlemarch", "emma"], "room": ["attic", "cellar"]}
        if argument.name == "number":
            return Completion(values=[f"{context.arguments['room']}-1"], total=7, has_more=True)
        return Completion(values=[v for v in known.get(argument.name, []) if v.startswith(argument.value)])


def _add_tools(server: MCPServer[Any], seen: dict[str, Any]) -> None:
    @server.tool(structured_output=False)
    async def rewrite(uri: str, ctx: Context) -> str:  # type: ignore[type-arg]
        """Say that a resource has changed."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await ctx.notify_resource_updated(uri)
        elif uri in seen["subscribed"]:
            await ctx.session.send_resource_updated(uri)
        return "rewritten"

    @server.tool(structured_output=False)
    async def rearrange(what: str, ctx: Context) -> str:  # type: ignore[type-arg]
        """Say that a list has changed: prompts or resources."""
        if ctx.protocol_version in MODERN_PROTOCOL_VERSIONS:
            await {"prompts": ctx.notify_prompts_changed, "resources": ctx.notify_resources_changed}[what]()
        elif what == "prompts":
            await ctx.session.send_prompt_list_changed()
        else:
            await ctx.session.send_resource_list_changed()
        return "rearranged"

    @server.tool(structured_output=False)
    def recall() -> str:
        """What clients wanted of this server, and what they can do."""
        return json.dumps(seen)

    @server.tool(structured_output=False)
    def capabilities(ctx: Context) -> str:  # type: ignore[type-arg]
        """What the client says that it serves."""
        declared = ctx.client_capabilities
        return declared.model_dump_json(by_alias=True, exclude_none=True) if declared is not None else "null"

    @server.tool(structured_output=False)
    def die() -> str:
        """Leave without an answer."""
        os._exit(3)

    @server.tool()
    def find(uri: str = "book://moby-dick", name: str = "found") -> CallToolResult:
        """A link to a resource."""
        return CallToolResult(
            content=[
                TextContent(type="text", text="Here it is."),
                ResourceLink(type="resource_link", uri=uri, name=name, mime_type="text/plain"),
            ]
        )


def _add_handlers(server: MCPServer[Any], seen: dict[str, Any], endless: bool) -> None:
    """What `MCPServer` itself doesn't do: pages, subscriptions of old clients, levels of logging."""
    low = server._lowlevel_server

    async def pages(_: Any, params: PaginatedRequestParams) -> ListResourcesResult:
        seen["listings"] += 1
        listed = await server.list_resources()
        resources = [Resource.model_validate(item.model_dump()) for item in listed]
        at = int(params.cursor or 0)
        following = 0 if endless else at + 1 if at + 1 < len(resources) else None
        return ListResourcesResult(
            resources=resources[at : at + 1], next_cursor=None if following is None else str(following)
        )

    async def prompts(_: Any, params: PaginatedRequestParams) -> ListPromptsResult:
        seen["prompt listings"] += 1
        return ListPromptsResult(prompts=await server.list_prompts())

    async def subscribe(_: Any, params: SubscribeRequestParams) -> EmptyResult:
        if not params.uri.startswith("book:"):
            raise ValueError("only books change")
        seen["subscribed"].append(params.uri)
        return EmptyResult()

    async def unsubscribe(_: Any, params: UnsubscribeRequestParams) -> EmptyResult:
        seen["subscribed"].remove(params.uri)
        return EmptyResult()

    async def set_level(_: Any, params: SetLevelRequestParams) -> EmptyResult:
        seen["level"] = params.level
        return EmptyResult()

    low.add_request_handler("resources/list", PaginatedRequestParams, pages)
    low.add_request_handler("prompts/list", PaginatedRequestParams, prompts)
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
    low.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)


if __name__ == "__main__":
    library = build(ttl="ttl" in sys.argv, endless="endless" in sys.argv)
    if sys.argv[1] == "stdio":
        library.run("stdio")
    else:
        from tests.support.mcp_server import serve

        serve(sys.argv[1], library)
