"""The agent of huggingface_hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting, earlier

PACKAGES = ("huggingface_hub", "mcp")


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    from huggingface_hub import Agent

    server = setting.server
    servers: list[Any] = []
    if server is not None and server.kind == "stdio":
        servers = [{"type": "stdio", "command": server.command[0], "args": list(server.command[1:])}]
    elif server is not None:
        servers = [{"type": "http", "url": server.url}]
    async with Agent(base_url=setting.model_url, model="m", servers=servers, api_key="none") as agent:
        agent.messages += earlier(setting.history)
        await agent.load_tools()
        yield agent.run
