"""pydantic-ai, with the chat API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting, earlier

PACKAGES = ("pydantic-ai-slim", "openai", "mcp")


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    from fastmcp.client import Client
    from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.usage import UsageLimits

    toolsets: list[Any] = []
    if setting.server is not None and setting.server.kind == "stdio":
        command, *args = setting.server.command
        toolsets = [MCPToolset(Client(StdioTransport(command, args)))]
    elif setting.server is not None:
        toolsets = [MCPToolset(Client(StreamableHttpTransport(setting.server.url)))]
    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=setting.model_url, api_key="none"))
    agent = Agent(model, toolsets=toolsets)
    limits = UsageLimits(request_limit=None)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(agent)
        for toolset in toolsets:
            await toolset.list_tools()
        history = _messages(setting.history)

        async def run(prompt: str) -> AsyncIterator[Any]:
            async with agent.run_stream_events(prompt, message_history=history, usage_limits=limits) as events:
                async for event in events:
                    yield event

        yield run


def _messages(count: int) -> list[Any]:
    """The same messages in its own form."""
    from pydantic_ai.messages import (
        ModelRequest,
        ModelResponse,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )

    made: list[Any] = []
    for message in earlier(count):
        content, calls = message["content"], message.get("tool_calls") or []
        if message["role"] == "user":
            made.append(ModelRequest([UserPromptPart(content)]))
        elif message["role"] == "tool":
            made.append(ModelRequest([ToolReturnPart("look", content, message["tool_call_id"])]))
        elif calls:
            made.append(ModelResponse([ToolCallPart("look", calls[0]["function"]["arguments"], calls[0]["id"])]))
        else:
            made.append(ModelResponse([TextPart(content)]))
    return made
