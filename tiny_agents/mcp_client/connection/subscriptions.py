"""`Subscriber`: keeps one life of a server telling of resources that change, in the way of its protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from tiny_agents.mcp_client.connection.listing import keep_open
from tiny_agents.mcp_client.connection.watch import ConnectionLost, Refused

if TYPE_CHECKING:
    from tiny_agents.mcp_client.transports.session import Session

logger = logging.getLogger("tiny_agents.mcp_client")

Missed = Callable[[str], None]
"""Told of each resource that may have changed while nobody could hear of it."""


class Subscriber:
    """Before 2026-07-28 a resource is subscribed to by a request; since then one stream is held open for all of them.

    Args:
        server: Its name, for log messages.
    """

    def __init__(self, session: Session, server: str, missed: Missed) -> None:
        self._session = session
        self._server = server
        self._missed = missed
        self._followed: frozenset[str] = frozenset()
        self._stream: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def follow(self, uris: frozenset[str]) -> None:
        """From now on hear of these resources, and of no others.

        Raises:
            Refused: The server won't; what was followed before still is.
            ConnectionLost: It went away.
        """
        async with self._one_at_a_time:
            if self._session.is_modern:
                await self._stream_of(uris)
                return
            for uri in sorted(uris - self._followed):
                await self._session.subscribe(uri)
                self._followed |= {uri}
            for uri in sorted(self._followed - uris):
                self._followed -= {uri}
                await self._session.unsubscribe(uri)

    async def close(self) -> None:
        """End the stream."""
        if self._stream is not None:
            await _end(self._stream)

    async def _stream_of(self, uris: frozenset[str]) -> None:
        """Replace the stream; the old one ends when the new one is open, so that nothing is missed in between."""
        before, opened = self._stream, asyncio.get_running_loop().create_future()
        stream = asyncio.create_task(self._hold(uris, opened)) if uris else None
        if stream is not None:
            try:
                await opened
            except BaseException:
                await _end(stream)
                raise
        self._stream = stream
        if before is not None:
            await _end(before)

    async def _hold(self, uris: frozenset[str], opened: asyncio.Future[None]) -> None:
        def is_open() -> None:
            if opened.done():  # not for the first time: what happened in between isn't known
                for uri in sorted(uris):
                    self._missed(uri)
            else:
                opened.set_result(None)

        try:
            await keep_open(partial(self._session.follow_resources, uris, is_open))
        except (Refused, ConnectionLost) as error:
            if not opened.done():
                opened.set_exception(error)
            elif isinstance(error, Refused):
                logger.warning("MCP server '%s' no longer tells when resources change: %s", self._server, error)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
