"""Stopping an iteration from outside, wherever it waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tiny_agents.agent.loop.abort import Aborted, until_aborted

pytestmark = pytest.mark.anyio


class Numbers:
    """Yields 1, 2, then waits for ever; notes how it ended."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self.ended_by: type[BaseException] | None = None

    async def __call__(self) -> AsyncGenerator[int, None]:
        try:
            yield 1
            yield 2
            self.waiting.set()
            await asyncio.Event().wait()
        except BaseException as error:
            self.ended_by = type(error)
            raise


async def test_what_waits_is_cancelled_and_what_was_said_is_kept() -> None:
    numbers, event, got = Numbers(), asyncio.Event(), []
    async with asyncio.timeout(30):
        setter = asyncio.create_task(_set_when(numbers.waiting, event))
        with pytest.raises(Aborted):
            async for number in until_aborted(numbers(), event):
                got.append(number)
        await setter
    assert got == [1, 2]
    assert numbers.ended_by is asyncio.CancelledError
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)  # a cancellation left behind would be raised here


async def _set_when(waiting: asyncio.Event, event: asyncio.Event) -> None:
    await waiting.wait()
    event.set()


async def test_the_callers_own_code_is_never_cancelled() -> None:
    numbers, event = Numbers(), asyncio.Event()
    async with asyncio.timeout(30):
        items = until_aborted(numbers(), event)
        assert await anext(items) == 1
        event.set()
        await asyncio.sleep(0)  # the caller is busy: nothing happens to it
        await asyncio.sleep(0)
        with pytest.raises(Aborted):
            await anext(items)
    assert numbers.ended_by is GeneratorExit


async def test_an_event_set_before_the_start_stops_at_once() -> None:
    event = asyncio.Event()
    event.set()
    with pytest.raises(Aborted):
        await anext(until_aborted(Numbers()(), event))


async def test_a_cancellation_from_elsewhere_is_not_taken_for_an_abort() -> None:
    numbers, event = Numbers(), asyncio.Event()

    async def consume() -> None:
        async for _ in until_aborted(numbers(), event):
            pass

    async with asyncio.timeout(30):
        task = asyncio.create_task(consume())
        await numbers.waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert numbers.ended_by is asyncio.CancelledError


async def test_a_cancellation_and_an_abort_together_stay_a_cancellation() -> None:
    numbers, event = Numbers(), asyncio.Event()

    async def consume() -> None:
        async for _ in until_aborted(numbers(), event):
            pass

    async with asyncio.timeout(30):
        task = asyncio.create_task(consume())
        await numbers.waiting.wait()
        event.set()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_while_the_event_is_not_set_the_items_pass_through() -> None:
    async def two() -> AsyncGenerator[int, None]:
        yield 1
        yield 2

    assert [item async for item in until_aborted(two(), asyncio.Event())] == [1, 2]


async def test_leaving_early_closes_the_items_and_leaves_no_task() -> None:
    numbers, event = Numbers(), asyncio.Event()
    before = asyncio.all_tasks()
    items = until_aborted(numbers(), event)
    assert await anext(items) == 1
    await items.aclose()
    assert numbers.ended_by is GeneratorExit
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
