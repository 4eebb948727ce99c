"""The OpenAI Agents SDK, with the chat API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Setting, earlier

PACKAGES = ("openai-agents", "openai", "mcp")


def says(event: Any) -> bool:
    return bool(event.type == "raw_response_event" and event.data.type == "response.output_text.delta")


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled
    from agents.items import TResponseInputItem
    from agents.mcp import MCPServerStdio, MCPServerStreamableHttp
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    async with AsyncExitStack() as stack:
        servers: list[Any] = []
        if setting.server is not None and setting.server.kind == "stdio":
            command, *args = setting.server.command
            made: Any = MCPServerStdio({"command": command, "args": args}, cache_tools_list=True)
            servers = [await stack.enter_async_context(made)]
        elif setting.server is not None:
            made = MCPServerStreamableHttp({"url": setting.server.url}, cache_tools_list=True)
            servers = [await stack.enter_async_context(made)]
        for server in servers:
            await server.list_tools()
        client = await stack.enter_async_context(AsyncOpenAI(base_url=setting.model_url, api_key="none"))
        model = OpenAIChatCompletionsModel(model="m", openai_client=client)
        agent = Agent(name="bench", model=model, mcp_servers=servers)
        history: list[TResponseInputItem] = _items(setting.history)

        async def run(prompt: str) -> AsyncIterator[Any]:
            result = Runner.run_streamed(
                agent, [*history, {"role": "user", "content": prompt}], max_turns=setting.turns
            )
            async for event in result.stream_events():
                yield event

        yield run


def _items(count: int) -> list[Any]:
    """The same messages in the SDK's own form."""
    items: list[Any] = []
    for message in earlier(count):
        calls = message.get("tool_calls") or []
        if message["role"] == "tool":
            output = {"call_id": message["tool_call_id"], "output": message["content"]}
            items.append({"type": "function_call_output", **output})
        elif calls:
            function = calls[0]["function"]
            items.append({"type": "function_call", "call_id": calls[0]["id"], **function})
        else:
            items.append({"role": message["role"], "content": message["content"]})
    return items
