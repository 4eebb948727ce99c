"""This package."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting, earlier

PACKAGES = ("tiny-agents", "httpx2", "msgspec", "mcp")


def agent_of(setting: Setting) -> Any:
    from tiny_agents import Agent

    server = setting.server
    servers: list[dict[str, Any]] = []
    if server is not None and server.kind == "stdio":
        servers = [{"type": "stdio", "name": "bench", "command": server.command[0], "args": list(server.command[1:])}]
    elif server is not None:
        servers = [{"type": "http", "name": "bench", "url": server.url}]
    agent = Agent(
        base_url=setting.model_url,
        model="m",
        servers=servers,
        max_turns=setting.turns,
        context={"compact": "off", "max_tools": 1_000_000},
    )
    agent.messages += earlier(setting.history)
    return agent


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    async with agent_of(setting) as agent:
        await agent.load_tools()
        yield agent.run


@asynccontextmanager
async def open_shared(setting: Setting) -> AsyncIterator[Callable[[], Run]]:
    async with agent_of(setting) as agent:
        await agent.load_tools()
        yield lambda: agent.new_conversation().run
