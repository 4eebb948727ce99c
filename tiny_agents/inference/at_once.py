"""Some blocking work on several threads at once, given up at once: nobody waits for what is under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
W = TypeVar("W")
R = TypeVar("R")


def each(work: Callable[[T], W], keep: Callable[[T, W], R], items: Sequence[T], *, threads: int) -> list[R]:
    """`keep` of every item and of `work` of it, in their order.

    The first failure is raised, and so is Ctrl+C, without waiting for the items that are being worked on (a thread pool
    would, also at the end of the program); those not yet begun are left alone. `keep`, which should be quick, is called
    for one item at a time, and never once this has ended: whoever gives up may remove what it kept.
    """
    todo: SimpleQueue[int] = SimpleQueue()
    done: SimpleQueue[tuple[int, R] | BaseException] = SimpleQueue()
    keeping, ended = threading.Lock(), threading.Event()
    for index in range(len(items)):
        todo.put(index)

    def run() -> None:
        while (index := _next(todo)) is not None:
            try:
                made = work(items[index])
                with keeping:
                    if ended.is_set():
                        return
                    done.put((index, keep(items[index], made)))
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
        ended.set()
        while _next(todo) is not None:
            pass
        with keeping:  # of whoever had looked before this ended
            pass
    return [results[index] for index in range(len(items))]


def _next(todo: SimpleQueue[int]) -> int | None:
    try:
        return todo.get_nowait()
    except Empty:
        return None
