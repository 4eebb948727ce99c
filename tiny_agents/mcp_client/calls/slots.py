"""`Slots`: at most so many things at the same time."""

from __future__ import annotations

import asyncio
from types import TracebackType


class Slots:
    """As a semaphore, first come, first served; `limit` None lets everybody in.

    Where the event loop that it was used in has been closed (`asyncio.run` is over), it begins anew in the next one.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._semaphore: asyncio.Semaphore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def take(self) -> None:
        """Wait for a slot; give it back with `free`."""
        if self._limit is None:
            return
        if self._semaphore is None or self._loop is None or self._loop.is_closed():
            self._loop, self._semaphore = asyncio.get_running_loop(), asyncio.Semaphore(self._limit)
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
