"""`Slots`: at most so many things at the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Slots:
    """As a semaphore, first come, first served; `limit` None lets everybody in."""

    def __init__(self, limit: int | None) -> None:
        self._semaphore = None if limit is None else asyncio.Semaphore(limit)

    async def take(self) -> None:
        """Wait for a slot; give it back with `free`."""
        if self._semaphore is not None:
            await self._semaphore.acquire()

    def free(self) -> None:
        if self._semaphore is not None:
            self._semaphore.release()

    async def __aenter__(self) -> None:
        await self.take()

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.free()
