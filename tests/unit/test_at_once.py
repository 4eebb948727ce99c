"""Blocking work on threads, given up at once."""

from __future__ import annotations

import threading

import pytest

from tiny_agents.inference.at_once import each


def as_it_is(_: int, made: object) -> object:
    return made


def test_results_come_in_the_order_of_the_items_and_at_once() -> None:
    all_there = threading.Barrier(3, timeout=30)

    def work(number: int) -> int:
        all_there.wait()
        return number * 2

    assert each(work, as_it_is, [1, 2, 3], threads=3) == [2, 4, 6]
    assert each(work, as_it_is, [], threads=3) == []


def test_the_first_failure_is_raised_without_waiting_and_nothing_new_begins() -> None:
    begun: list[int] = []
    first, forever = threading.Event(), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            first.set()
            forever.wait(30)
        assert first.wait(30)
        raise LookupError(number)

    with pytest.raises(LookupError, match="1"):
        each(work, as_it_is, range(100), threads=2)
    assert not forever.is_set()
    forever.set()
    assert sorted(begun) == [0, 1]


def test_nothing_is_kept_once_it_was_given_up_and_what_is_being_kept_is_waited_for() -> None:
    keeping, failing, ended, late = (threading.Event() for _ in range(4))
    kept: list[tuple[int, bool]] = []

    def work(number: int) -> int:
        if number == 1:
            assert keeping.wait(30)
            failing.set()
            raise LookupError("given up")
        if number == 2:
            assert late.wait(30)
        return number

    def keep(number: int, made: int) -> None:
        keeping.set()
        assert failing.wait(30)
        kept.append((made, ended.wait(0.1)))

    with pytest.raises(LookupError, match="given up"):
        each(work, keep, [0, 1, 2], threads=3)
    ended.set()
    assert kept == [(0, False)]
    late.set()
    for thread in threading.enumerate():
        if thread.name == "tiny-agents-download":
            thread.join(30)
    assert kept == [(0, False)]
