"""`RunningCall`: a tool call while it runs, whose time begins anew with each report of progress."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tiny_agents.errors import redact
from tiny_agents.mcp_client.connection.life import Limited, deadline
from tiny_agents.mcp_client.events import ToolProgress
from tiny_agents.mcp_client.text import encodable, shortened

if TYPE_CHECKING:
    from collections.abc import Callable


MAX_SAID_CHARS = 4_000
"""Longest message of a report of progress: hundreds of them may wait for somebody to look."""


class RunningCall(Limited, kw_only=True, gc=False):
    """`async with`, as `Limited`.

    Attributes:
        server, tool: Whose call it is, for those who listen.
        emit: Told how far it is.
        has_reported: Whether the server said how far it is.
    """

    server: str
    tool: str
    emit: Callable[[ToolProgress], None]
    has_reported: bool = False
    _began: float = 0.0

    def __post_init__(self) -> None:
        Limited.__post_init__(self)
        self._began = asyncio.get_running_loop().time()

    def progress(self, done: float, total: float | None, message: str | None) -> None:
        """The server reports that it is at `done` of `total`, in its own measure; None: it doesn't know."""
        self.has_reported = True
        life, limit = self._life, self._limit
        said = redact(encodable(shortened(message, MAX_SAID_CHARS)), life.watch.secrets) if message else None
        self.emit(ToolProgress(self.server, self.tool, done, total, said))
        if not (life.over or limit.expired() or life.watch.pauses):
            limit.reschedule(deadline(self._began, asyncio.get_running_loop().time(), self._limit_s))
