"""`Routing`: calls of tools whose arguments have to be said in HTTP headers too (since 2026-07-28)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.protocol.messages import HEADER_MISMATCH, RpcError

if TYPE_CHECKING:
    from tiny_agents.mcp_client.protocol.conversation import Conversation
    from tiny_agents.mcp_client.protocol.headers import Path
    from tiny_agents.mcp_client.protocol.peer import Report

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_PAGES = 100
"""How many pages of tools are read to find out how one of them is to be called."""


class Routing:
    """Which arguments of which tools go into headers."""

    def __init__(self, conversation: Conversation, server: str) -> None:
        self._conversation = conversation
        self._server = server
        self._names: dict[str, dict[Path, str]] = {}  # tool -> path of an argument -> its header

    def usable(self, tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those tools whose arguments can be said as they have to be, which is remembered."""
        if not self._conversation.agreement.modern:
            return tools
        from tiny_agents.mcp_client.protocol.headers import annotated

        kept = []
        for tool in tools:
            try:
                self._names[tool["name"]] = annotated(tool.get("inputSchema"))
            except ValueError as problem:
                self._names.pop(tool["name"], None)
                logger.warning(
                    "MCP server '%s': the tool '%s' is left out: %s", self._server, tool["name"][:200], problem
                )
            else:
                kept.append(tool)
        return kept

    async def call(self, params: dict[str, Any], report: Report) -> dict[str, Any]:
        """Call a tool; one that wants other headers than it got is called again, once it was looked at again."""
        try:
            return await self._call(params, report)
        except RpcError as mismatch:
            if mismatch.code != HEADER_MISMATCH:
                raise
            try:
                await self._look_again(params["name"])
            except RpcError:
                raise mismatch from None
        return await self._call(params, report)

    async def _call(self, params: dict[str, Any], report: Report) -> dict[str, Any]:
        headers = None
        if self._conversation.takes_headers and (names := self._names.get(params["name"])):
            from tiny_agents.mcp_client.protocol.headers import param_headers

            headers = param_headers(names, params["arguments"])
        return await self._conversation.ask("tools/call", params, on_progress=report, headers=headers)

    async def _look_again(self, name: str) -> None:
        cursor: Any = None
        for _ in range(MAX_PAGES):
            page = await self._conversation.ask("tools/list", {} if cursor is None else {"cursor": cursor})
            tools = page.get("tools")
            if isinstance(tools, list):
                self.usable(tools)
                if any(tool["name"] == name for tool in tools):
                    return
            cursor = page.get("nextCursor")
            if cursor is None:
                return
