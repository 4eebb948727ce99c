"""smolagents, with the agent that calls tools by the chat API. It is synchronous: nothing else runs while it does.

It ends when the model calls a tool of its own, so the scripted model is asked for that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting

PACKAGES = ("smolagents", "openai", "mcp")


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    assert not setting.history, "it isn't told of earlier messages"
    from mcp import StdioServerParameters
    from rich.console import Console
    from smolagents import AgentLogger, LogLevel, MCPClient, OpenAIModel, ToolCallingAgent

    server = setting.server
    with ExitStack() as stack:
        tools: list[Any] = []
        if server is not None:
            stdio = server.kind == "stdio"
            where: Any = {"url": server.url, "transport": "streamable-http"}
            if stdio:
                where = StdioServerParameters(command=server.command[0], args=list(server.command[1:]))
            tools = stack.enter_context(MCPClient(where, structured_output=False))
        model = OpenAIModel(model_id="m", api_base=setting.model_url, api_key="none")
        # with a quiet console, as it draws each answer as it comes whatever the level
        logger = AgentLogger(level=LogLevel.OFF, console=Console(quiet=True))
        agent = ToolCallingAgent(tools, model, stream_outputs=True, max_steps=setting.turns, logger=logger)

        async def run(prompt: str) -> AsyncIterator[Any]:
            for step in agent.run(f"{prompt} end=final_answer", stream=True):
                yield step

        yield run
