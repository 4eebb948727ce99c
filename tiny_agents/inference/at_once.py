"""Some blocking work on several threads at once, given up at once: nobody waits for what is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def each(work: Callable[[T], R], items: Sequence[T], *, threads: int) -> list[R]:
    """`work` of every item, in their order.

    The first failure is raised, and so is Ctrl+C, without waiting for the items that are being worked on (a thread pool
    would, also at the end of the program); those not yet begun are left alone.
    """
    todo: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, R] | BaseException] = SimpleQueue()
    for index in range(len(items)):
        todo.put(index)

    def run() -> None:
        while (index := _next(todo)) is not None:
            try:
                done.put((index, work(items[index])))
            except BaseException as error:  # noqa: BLE001 - raised in the thread that asked
                done.put(error)
                return

    for _ in range(min(threads, len(items))):
        threading.Thread(target=run, daemon=True, name="tiny-agents-download").start()
    results: dict[int, R] = {}
    try:
        while len(results) < len(items):
            came = done.get()
            if isinstance(came, BaseException):
                raise came
            results[came[0]] = came[1]
    finally:
        while _next(todo) is not None:
            pass
    return [results[index] for index in range(len(items))]


def _next(todo: SimpleQueue[int]) -> int | None:
    try:
        return todo.get_nowait()
    except Empty:
        return None
