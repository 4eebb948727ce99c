"""Blocking work on threads, given up at once."""

from __future__ import annotations

import threading

import pytest

from tiny_agents.inference.at_once import each


def test_results_come_in_the_order_of_the_items_and_at_once() -> None:
    all_there = threading.Barrier(3, timeout=30)

    def work(number: int) -> int:
        all_there.wait()
        return number * 2

    assert each(work, [1, 2, 3], threads=3) == [2, 4, 6]
    assert each(work, [], threads=3) == []


def test_the_first_failure_is_raised_without_waiting_and_nothing_new_begins() -> None:
    begun: list[int] = []
    forever = threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            forever.wait(30)
        raise LookupError(number)

    with pytest.raises(LookupError, match="1"):
        each(work, range(100), threads=2)
    assert not forever.is_set()
    forever.set()
    assert sorted(begun) == [0, 1]
