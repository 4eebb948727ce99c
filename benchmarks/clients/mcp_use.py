"""mcp-use, with LangChain's chat model."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting

PACKAGES = ("mcp-use", "langchain-openai", "langgraph", "openai", "mcp")


def says(event: Any) -> bool:
    return bool(event["event"] == "on_chat_model_stream")


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    assert not setting.history, "it isn't told of earlier messages"
    from langchain_openai import ChatOpenAI
    from mcp_use import MCPAgent, MCPClient

    logging.getLogger("mcp_use").setLevel(logging.CRITICAL)
    server = setting.server
    servers: dict[str, Any] = {}
    if server is not None and server.kind == "stdio":
        servers = {"bench": {"command": server.command[0], "args": list(server.command[1:])}}
    elif server is not None:
        servers = {"bench": {"url": server.url}}
    model = ChatOpenAI(model="m", base_url=setting.model_url, api_key="none", streaming=True)  # type: ignore[arg-type]
    # a turn takes several steps of the graph, and it counts two of them as one
    agent = MCPAgent(llm=model, client=MCPClient({"mcpServers": servers}), max_steps=setting.turns * 3)
    await agent.initialize()
    try:
        yield agent.stream_events
    finally:
        await agent.close()
