"""Between a transport and the SDK: messages are mended before the SDK checks them, which refuses a list for one odd tool."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from tiny_agents.mcp_client.text import readable
from tiny_agents.mcp_client.tools.mending import complete, listed, mended_progress, mended_tools, put_aside
from tiny_agents.mcp_client.transports.framing import Streams

logger = logging.getLogger("tiny_agents.mcp_client")


@asynccontextmanager
async def mended(transport: Any, server: str) -> AsyncIterator[Streams]:
    """The streams of `transport`, with what arrives mended."""
    async with transport as (read_stream, write_stream):
        yield MendedStream(read_stream, server), write_stream


class MendedStream:
    """A stream of messages from a server, as the SDK reads it."""

    def __init__(self, stream: Any, server: str) -> None:
        self._stream = stream
        self._server = server
        self._told: set[str] = set()

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        while (item := self._mend(await self._stream.receive())) is None:
            pass
        return item

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while (item := self._mend(await anext(self._stream))) is None:
            pass
        return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        left: bool | None = await self._stream.__aexit__(*error)
        return left

    def _mend(self, item: Any) -> Any:
        """The message that arrived, mended; None where it is to be left out."""
        message: Any = getattr(item, "message", None)
        if getattr(message, "method", None) == "notifications/progress":
            if (params := mended_progress(message.params)) is None:
                logger.debug("MCP server '%s': a report of progress without a usable number was dropped", self._server)
                return None
            message.params = params
        result = getattr(message, "result", None)
        if isinstance(result, dict):
            complete(result)
        if isinstance(result, dict) and isinstance(tools := result.get("tools"), list):
            whole, problems = mended_tools(tools)
            result["tools"] = [put_aside(tool) for tool in whole]
            said = readable(listed(problems))
            if said and said not in self._told:
                self._told = {*list(self._told)[:100], said}
                logger.warning("MCP server '%s': its list of tools is not valid MCP: %s", self._server, said)
        return item
