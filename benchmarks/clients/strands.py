"""Strands, with the chat API. Its connection to a server lives on a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting

PACKAGES = ("strands-agents", "openai", "mcp")


def says(event: Any) -> bool:
    return "data" in event


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    assert not setting.history, "it isn't told of earlier messages"
    from mcp.client.stdio import StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from openai import AsyncOpenAI
    from strands import Agent
    from strands.agent.conversation_manager import NullConversationManager
    from strands.models.openai import OpenAIModel
    from strands.tools.mcp import MCPClient

    server = setting.server
    tools: list[Any] = []
    if server is not None and server.kind == "stdio":
        parameters = StdioServerParameters(command=server.command[0], args=list(server.command[1:]))
        tools = [MCPClient(lambda: stdio_client(parameters))]
    elif server is not None:
        tools = [MCPClient(lambda: streamable_http_client(server.url))]
    async with AsyncExitStack() as stack:
        # told of no client, its model makes one for each request
        client = await stack.enter_async_context(AsyncOpenAI(base_url=setting.model_url, api_key="none"))
        agent = Agent(
            model=OpenAIModel(client=client, model_id="m"),
            tools=tools,
            callback_handler=None,
            conversation_manager=NullConversationManager(),
        )
        stack.callback(agent.cleanup)
        yield agent.stream_async
