"""Items with the events that happen meanwhile: what is at hand is taken without a task, and nothing else is different."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from tiny_agents.mcp_client.events import MAX_AT_ONCE, AtHand, Events, ServerEvent, ServerReturned

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[pytest.param(False, id="asyncio"), pytest.param(True, id="uvloop")])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    if request.param:
        pytest.importorskip("uvloop")
    return "asyncio", {"use_uvloop": request.param}


class Source:
    """Yields numbers in batches, and waits before each of them and at the end.

    Args:
        told: Whether it says what is at hand.
        then: Called after all of them.
        ends_at: The number in whose place it ends.

    Attributes:
        made: How many there were.
        closed: Whether it came to its end, or was brought to it.
        tasks: In which task each was made.
    """

    def __init__(
        self, *batches: int, told: bool = True, then: Callable[[], Any] = lambda: None, ends_at: int = -1
    ) -> None:
        self.events, self.at_hand = Events(), AtHand()
        self.made, self.closed = 0, False
        self.tasks: list[asyncio.Task[Any] | None] = []
        self.go_on = asyncio.Event()
        self._batches, self._told, self._then, self._ends_at = batches, told, then, ends_at

    def items(self) -> AsyncGenerator[int | ServerEvent, None]:
        return self.events.beside(self._items(), self.at_hand)

    async def _items(self) -> AsyncGenerator[int, None]:
        try:
            for size in self._batches:
                await asyncio.sleep(0)
                rest = iter(range(self.made, self.made + size))
                if self._told:
                    self.at_hand.rest = rest
                for number in rest:
                    if number == self._ends_at:
                        self._then()
                        return
                    self.made += 1
                    self.tasks.append(asyncio.current_task())
                    yield number
            self._then()
            await self.go_on.wait()
        finally:
            self.closed = True


def nothing_runs() -> bool:
    return not [task for task in asyncio.all_tasks() if "_next" in str(task.get_coro())]


@pytest.mark.parametrize("told", [True, False])
async def test_the_items_are_the_same_and_in_order_whether_they_are_at_hand_or_not(told: bool) -> None:
    source = Source(1, 2, 100, 1, 0, MAX_AT_ONCE, MAX_AT_ONCE + 1, told=told)
    source.go_on.set()
    assert [item async for item in source.items()] == list(range(source.made))
    assert source.closed
    assert nothing_runs()


async def test_only_what_is_waited_for_has_a_task_of_its_own() -> None:
    source = Source(3 * MAX_AT_ONCE, 1, 1)
    source.go_on.set()
    async for _ in source.items():
        pass
    own = [number for number, task in enumerate(source.tasks) if task is not asyncio.current_task()]
    assert own[0] == 0
    assert {3 * MAX_AT_ONCE, 3 * MAX_AT_ONCE + 1} < set(own)
    assert len(own) == 5


async def test_the_source_is_never_ahead_of_who_reads() -> None:
    source = Source(50, 50)
    async with aclosing(source.items()) as items:
        async for item in items:
            assert source.made == int(item) + 1  # type: ignore[arg-type]
            if item == 70:
                break
    assert source.closed
    assert source.made == 71
    assert nothing_runs()


async def test_events_come_before_the_next_item_and_none_is_lost() -> None:
    source = Source(40, then=lambda: source.events.emit(ServerReturned("last")))
    source.go_on.set()
    seen: list[Any] = []
    async for item in source.items():
        seen.append(item)
        if item in (3, 15, 20):
            source.events.emit(ServerReturned(f"after {item}"))
    told = [(seen[i - 1], item.server) for i, item in enumerate(seen) if isinstance(item, ServerReturned)]
    assert told == [(3, "after 3"), (15, "after 15"), (20, "after 20"), (39, "last")]
    assert [item for item in seen if isinstance(item, int)] == list(range(40))


@pytest.mark.parametrize("at", [3, 5], ids=["among what is at hand", "after it"])
async def test_an_error_keeps_its_type_and_place_and_comes_after_the_events_before_it(at: int) -> None:
    def fail() -> None:
        source.events.emit(ServerReturned("before"))
        raise LookupError("gone")

    source, seen = Source(5, then=fail, ends_at=at), []
    with pytest.raises(LookupError, match="gone") as caught:
        async for item in source.items():
            seen.append(item)
    assert seen == [*range(at), ServerReturned("before")]
    assert caught.traceback[-1].name == "fail"
    assert nothing_runs()


async def test_an_end_among_what_is_at_hand_loses_no_event() -> None:
    source = Source(10, then=lambda: source.events.emit(ServerReturned("last")), ends_at=4)
    assert [item async for item in source.items()] == [*range(4), ServerReturned("last")]


async def test_events_are_seen_while_an_item_is_waited_for() -> None:
    source = Source(20, then=lambda: asyncio.get_running_loop().call_soon(source.events.emit, ServerReturned("s")))
    seen: list[Any] = []
    async for item in source.items():
        seen.append(item)
        if isinstance(item, ServerReturned):
            source.go_on.set()
    assert seen == [*range(20), ServerReturned("s")]


async def test_who_is_cancelled_stops_within_a_few_items_and_leaves_nothing() -> None:
    source = Source(100_000)
    seen: list[Any] = []

    async def read() -> None:
        async with aclosing(source.items()) as items:
            async for item in items:
                seen.append(item)
                if item == 5:
                    reading.cancel()

    reading = asyncio.create_task(read())
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert seen == list(range(len(seen)))
    assert source.made - len(seen) <= 1
    assert len(seen) <= 6 + MAX_AT_ONCE
    assert source.closed
    assert nothing_runs()


async def test_others_get_their_turn_while_many_items_are_there() -> None:
    source, stop = Source(100_000), asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    async with aclosing(source.items()) as items:
        async for _ in items:
            if stop.is_set():
                break
    assert source.made <= 2 * MAX_AT_ONCE


@pytest.mark.parametrize("read", [0, 30])
async def test_a_time_limit_around_a_step_ends_it_whole(read: int) -> None:
    source = Source(read)
    items = source.items()
    for number in range(read):
        assert await anext(items) == number
    with pytest.raises(TimeoutError):
        with anyio.fail_after(0.01):
            await anext(items)
    assert source.closed
    assert nothing_runs()


async def test_who_catches_a_cancellation_between_two_items_misses_none() -> None:
    source, seen = Source(20, 1, 20), []
    source.go_on.set()
    async for item in source.items():
        seen.append(item)
        if item in (4, 19, 20):
            with anyio.move_on_after(0) as scope:
                await anyio.sleep(10)
            assert scope.cancelled_caught
    assert seen == list(range(41))


async def test_every_step_may_be_made_by_another_task() -> None:
    source = Source(5, 1, 20)
    source.go_on.set()
    items, seen = source.items(), []
    while (item := await asyncio.create_task(_next_of(items))) is not None:
        seen.append(item)
    assert seen == list(range(26))


async def _next_of(items: AsyncGenerator[Any, None]) -> Any:
    return await anext(items, None)


async def test_what_is_set_in_the_context_while_waiting_stays_there() -> None:
    var: ContextVar[str] = ContextVar("var", default="outside")
    source = Source(20, then=lambda: var.set("inside"))
    source.go_on.set()
    async for _ in source.items():
        assert var.get() == "outside"
    assert var.get() == "outside"
