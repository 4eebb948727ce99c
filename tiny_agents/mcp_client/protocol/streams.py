"""Streams of changes (`subscriptions/listen`, since 2026-07-28): one request, which is answered when the stream ends."""

from __future__ import annotations

import asyncio
from typing import Any

from tiny_agents.mcp_client.protocol.messages import RpcError

LIST_FLAGS = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
"""What the notices of a list are called in a subscription."""


class StreamLost(Exception):
    """A stream ended and its server didn't say so: what was missed isn't known."""


class Stream:
    """One stream: opened by the server's consent, ended by either side. The notices themselves go their usual way."""

    def __init__(self) -> None:
        self._granted: dict[str, Any] | None = None
        self._error: RpcError | None = None
        self._lost = False
        self._opened = asyncio.Event()
        self._ended = asyncio.Event()

    def open(self, granted: dict[str, Any]) -> None:
        """The server agrees; its first word counts."""
        if not self._opened.is_set():
            self._granted = granted
            self._opened.set()

    def end(self, *, lost: bool = False, error: RpcError | None = None) -> None:
        """Nothing more comes; the first reason counts."""
        if not self._ended.is_set():
            self._lost, self._error = lost, error
            if not (lost or self._opened.is_set()):
                self._granted = {}  # it was over before it began, and that in good order
            self._opened.set()
            self._ended.set()

    async def opened(self) -> dict[str, Any]:
        """What the server agreed to tell of.

        Raises:
            RpcError: It doesn't agree.
            StreamLost: The stream ended first.
        """
        await self._opened.wait()
        if self._granted is not None:
            return self._granted
        if self._error is not None:
            raise self._error
        raise StreamLost("it ended before the server agreed")

    async def ended(self) -> None:
        """Wait for the end.

        Raises:
            StreamLost: It broke off.
        """
        await self._ended.wait()
        if self._lost:
            raise StreamLost(
                str(self._error) if self._error is not None else "the server took it back"
            ) from self._error
