"""`Session`: an open conversation with one server, in terms of our own types."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.text import encodable
from tiny_agents.mcp_client.tools import ServerTool, read_tool
from tiny_agents.mcp_client.watch import (
    CODE_BROKEN,
    CODE_UNREACHABLE,
    ConnectionLost,
    Progress,
    Refused,
    Watch,
)

if TYPE_CHECKING:  # importing it costs 0.7 s
    import mcp
    from pydantic import ValidationError


logger = logging.getLogger("tiny_agents.mcp_client")

_SDK_CLOSED = "Connection closed"  # what the SDK says to calls that wait when its streams end
_SDK_BROKEN = "SSE stream"  # how it begins to say that one answer's stream broke off


class Session:
    """An open conversation with one server."""

    def __init__(self, client: mcp.Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    async def list_tools(self, cursor: str | None) -> tuple[list[ServerTool], str | None]:
        """One page of tools, and the cursor of the next; a server without tools has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        from mcp import MCPError
        from mcp_types import METHOD_NOT_FOUND
        from pydantic import ValidationError

        try:
            page = await self._client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return [], None
            self._raise_if_lost(error)
            raise Refused(str(error)) from error
        except ValidationError as error:
            raise Refused(f"its list of tools is not valid MCP: {first_problem(error)}") from error
        return [read_tool(tool.model_dump(mode="json", by_alias=True)) for tool in page.tools], page.next_cursor

    async def listen(self) -> bool:
        """Have `Watch.tools_changed` set whenever the tools change, as long as the server's stream of changes is open.

        It is set at the beginning too: nobody knows what was missed before.

        Returns: Whether a stream was there that has ended and can be opened again. Servers of before 2026-07-28 have none,
            their notices come unasked.
        """
        from mcp import MCPError
        from mcp.client.subscriptions import SubscriptionLost
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = self._client.server_capabilities.tools
        if self._client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return False
        try:
            async with self._client.listen(tools_list_changed=True) as changes:
                if not changes.honored.tools_list_changed:
                    return False
                self._watch.tools_changed.set()
                async for _ in changes:
                    self._watch.tools_changed.set()
        except SubscriptionLost as lost:
            logger.debug("a server's stream of changes broke off: %s", lost)
        except MCPError as error:
            logger.debug("a server has no stream of changes: %s", error)
            return error.code in (CODE_UNREACHABLE, CODE_BROKEN)
        return True

    async def call_tool(
        self, name: str, arguments: dict[str, Any], on_progress: Callable[[Progress], None]
    ) -> ToolResult:
        """Call a tool and wait for its answer, however long it takes; cancelling tells the server.

        Args:
            on_progress: Told what the server reports of the call while it runs.

        Raises:
            ConnectionLost: The server went away before it answered.
        """
        from mcp import MCPError
        from pydantic import ValidationError

        async def report(progress: float, total: float | None, message: str | None) -> None:
            on_progress(Progress(progress, total, encodable(message) if message else None))

        try:
            answer = await self._client.call_tool(name, arguments, progress_callback=report)
        except MCPError as error:
            self._raise_if_lost(error)
            return failure(str(error))
        except ValidationError as error:
            return failure(f"the server's answer is not valid MCP: {first_problem(error)}")
        except Exception as error:  # noqa: BLE001 - a server's answer can make the SDK, or the schema it is checked against, fail in any way
            return failure(str(error) or type(error).__name__)
        return read_result(
            [block.model_dump(mode="json", by_alias=True) for block in answer.content],
            structured_content=answer.structured_content,
            is_error=bool(answer.is_error),
        )

    def _raise_if_lost(self, error: mcp.MCPError) -> None:
        """Tell the loss of the connection from an error that the server reports; it may use the same numbers."""
        from mcp_types import CONNECTION_CLOSED

        if error.code == CODE_UNREACHABLE:
            raise ConnectionLost(error.message, ran=False) from error
        if error.code == CODE_BROKEN:
            raise ConnectionLost(error.message, gone=False) from error
        if error.code == CONNECTION_CLOSED and error.message == _SDK_CLOSED:
            raise ConnectionLost(self._watch.how or "closed the connection") from error
        if error.code == CONNECTION_CLOSED and error.message.startswith(_SDK_BROKEN) and self._watch.process is None:
            raise ConnectionLost("broke its answer off", gone=False) from error


def first_problem(error: ValidationError) -> str:
    """What a validation found first, on one line, without the value (it may be anything)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in problem["loc"] if not str(step).startswith("function-"))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
