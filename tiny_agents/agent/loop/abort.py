"""Stop an async iteration from outside, at once, wherever it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

T = TypeVar("T")


class Aborted(Exception):
    """An event was set; the iteration has been closed. Never leaves the package."""


async def until_aborted(items: AsyncGenerator[T, None], *events: asyncio.Event) -> AsyncGenerator[T, None]:
    """The items, until one of `events` is set: then what `items` waits for is cancelled and `Aborted` raised.

    `items` is closed in any case. The way of `asyncio.timeout`: the waiting task is cancelled and told apart from a
    cancellation that somebody else asked for. Only while `items` runs: the caller's own code is never cancelled.
    """
    running: asyncio.Task[object] | None = None  # the task that waits in `items` now
    cancelled = False

    def on_set(_: asyncio.Task[object]) -> None:
        nonlocal cancelled
        if running is not None and not cancelled and any(event.is_set() for event in events):
            cancelled = True
            running.cancel()

    watchers = [asyncio.create_task(event.wait()) for event in events]
    for watcher in watchers:
        watcher.add_done_callback(on_set)
    try:
        while True:
            if any(event.is_set() for event in events):
                raise Aborted
            running = asyncio.current_task()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            except asyncio.CancelledError:
                if cancelled and running is not None and running.uncancel() == 0:
                    raise Aborted from None
                raise
            else:
                if cancelled and running is not None:
                    running.uncancel()  # it came too late to stop this item; the next round stops
            finally:
                running = None
            yield item
    finally:
        for watcher in watchers:
            watcher.cancel()
        await items.aclose()
