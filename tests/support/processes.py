"""Which processes a test has left behind, found without any package: by a mark in their environment.

A mark is inherited by everything a server starts, whoever adopts it later. Linux only (it reads /proc); elsewhere the
tests that need it are skipped.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

LIMIT_S = 60.0

_NAME = "TINY_AGENTS_TEST_MARK"


class Mark:
    """`env` goes to a server; `pids()` are the living processes that have it."""

    def __init__(self) -> None:
        self.value = uuid.uuid4().hex
        self.env = {_NAME: self.value}

    def pids(self) -> list[int]:
        wanted = f"{_NAME}={self.value}".encode()
        return [
            int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and wanted in _environ(entry)
        ]

    async def gone(self, within_s: float = 60.0) -> None:
        """Wait until none is left, and fail if some stay."""
        deadline = time.monotonic() + within_s
        while left := self.pids():
            assert time.monotonic() < deadline, f"still running: {left}"
            await asyncio.sleep(0.02)

    async def running(self, count: int, within_s: float = 60.0) -> list[int]:
        """Wait until at least `count` processes run."""
        deadline = time.monotonic() + within_s
        while len(pids := self.pids()) < count:
            assert time.monotonic() < deadline, f"only {pids}"
            await asyncio.sleep(0.02)
        return pids


def _environ(entry: Path) -> list[bytes]:
    try:
        return (entry / "environ").read_bytes().split(b"\0")  # empty for a zombie
    except OSError:  # it ended meanwhile, or belongs to somebody else
        return []


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    """How much memory this process has."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def process_state(pid: int) -> str:
    """The letter that Linux has for what a process does: `S` it sleeps, `T` it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]


def until(reached: Callable[[], Any]) -> None:
    """Wait for what another process or thread does."""
    deadline = time.monotonic() + LIMIT_S
    while not reached():
        assert time.monotonic() < deadline, "it never came so far"
        time.sleep(0.005)


def waits_to_read(pid: int, pipe: int) -> bool:
    """Whether all that was written to a pipe has been taken, and the process sleeps.

    A signal that comes after Python's last look for one and before the system's read is not seen until that returns.
    """
    import fcntl
    import termios

    left = int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    return left == 0 and process_state(pid) == "S"


class Grown:
    """What this process has more of than when this was made: tasks, descriptors, objects, bytes."""

    def __init__(self) -> None:
        self._before = self._now()

    async def less_than(self, *, objects: int, size: int, within_s: float = 60.0) -> None:
        """Wait until no task and no descriptor has come to stay, and fewer objects and bytes than these.

        What has ended is held for a moment by timers of the event loop.
        """
        deadline = time.monotonic() + within_s
        while True:
            tasks, descriptors, more, larger = (
                now - before for now, before in zip(self._now(), self._before, strict=True)
            )
            if tasks <= 0 and descriptors <= 0 and more < objects and larger < size:
                return
            found = f"{tasks} tasks, {descriptors} descriptors, {more} objects, {larger:,} bytes"
            assert time.monotonic() < deadline, f"still there: {found}"
            await asyncio.sleep(0.05)

    @staticmethod
    def _now() -> tuple[int, int, int, int]:
        gc.collect()
        return len(asyncio.all_tasks()), open_descriptors(), len(gc.get_objects()), resident_bytes()


class MemoryPeak:
    """How much memory this process needed at most while a `with` block ran, in bytes above what it had before."""

    def __enter__(self) -> MemoryPeak:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the highest so far is what there is now
        self._before = resident_bytes()
        return self

    def __exit__(self, *_: object) -> None:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        (peak,) = (int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
        self.grown = peak - self._before
