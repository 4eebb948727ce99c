"""Not run: checked by mypy. The parameters of each type of server, and what a turn yields."""

from datetime import timedelta
from typing import Any, assert_type

from tiny_agents.inference.types.chat import (
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    ChatCompletionStreamOutput,
)
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.events import ServerEvent
from tiny_agents.mcp_client.results.results import ToolResult


async def servers(client: MCPClient, anything: dict[str, Any]) -> None:
    await client.add_mcp_server("stdio", command="x", args=["-y"], env={"A": "b"}, cwd=None, allowed_tools=["a"])
    await client.add_mcp_server("http", url="https://h/mcp", timeout=timedelta(seconds=5), terminate_on_close=False)
    await client.add_mcp_server(type="sse", url="https://h/sse", headers={"A": "b"}, sse_read_timeout=5, name="old")
    await client.add_mcp_server("inprocess", server=anything, tools={"allow": ["a*"]}, tool_timeout=5)
    await client.add_mcp_server("http", url="https://h/mcp", auth="oauth")
    await client.add_mcp_server("sse", url="https://h/sse", auth={"type": "oauth", "scopes": ["a"], "account": "me"})
    await client.add_mcp_server("http", url="https://h/mcp", auth={"typ": "oauth"})  # type: ignore[call-overload]
    await client.add_mcp_server(**anything)
    await client.add_mcp_server("stdio", url="https://h/mcp")  # type: ignore[call-overload]
    await client.add_mcp_server("http", url="https://h/mcp", comand="x")  # type: ignore[call-overload]
    await client.add_mcp_server("websocket", url="https://h/mcp")  # type: ignore[call-overload]


def functions(client: MCPClient) -> None:
    @client.add_tool
    def add(a: int, b: int) -> int:
        return a + b

    assert_type(add(1, 2), int)
    client.add_tool(add, name="sum", description="Add.")


async def turn(client: MCPClient) -> None:
    assert_type(client.available_tools, list[ChatCompletionInputTool])
    assert_type(await client.call_tool("x", {"a": 1}, timeout=5), ToolResult)
    async for item in client.process_single_turn_with_tools([{"role": "user", "content": "?"}]):
        assert_type(item, ChatCompletionStreamOutput | ChatCompletionInputMessage)
    async for event in client.process_single_turn_with_tools([], events=True):
        assert_type(event, ChatCompletionStreamOutput | ChatCompletionInputMessage | ServerEvent)
