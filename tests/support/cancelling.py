"""Cancel a coroutine at an exact place: the n-th time that it waits."""

from __future__ import annotations

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def cancelled_at(waits: int, coroutine: Coroutine[Any, Any, T]) -> T:
    """Run `coroutine` in the current task, which is cancelled while it waits for the time number `waits` (from 0).

    One that waits less often runs to its end as if nothing had been.
    """
    return await _driven(waits, coroutine)


@types.coroutine
def _driven(waits: int, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    task = asyncio.current_task()
    assert task is not None
    error: BaseException | None = None
    while True:
        try:
            waited_for = coroutine.send(None) if error is None else coroutine.throw(error)
        except StopIteration as end:
            result: T = end.value
            return result
        if waits == 0:
            task.cancel()  # takes effect at once: what the task now waits for is cancelled
        waits -= 1
        error = None
        try:
            yield waited_for
        except BaseException as thrown:  # noqa: BLE001 - handed on to the coroutine
            error = thrown
