"""What must not be left when something has gone wrong: processes, descriptors, threads, and secrets in anything written."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support.processes import Mark

WITHIN_S = 60.0  # what ends is given this long on a busy machine; normally it is gone at once

MODEL_KEY = "planted7model7key7Qm3"
SERVER_TOKEN = "planted7server7token7Zk8"
HUB_TOKEN = "hf_planted7hub7token7Wx5"
USERS_OWN = "planted7secret7of7the7user7Vb2"
PLANTED = (MODEL_KEY, SERVER_TOKEN, HUB_TOKEN, USERS_OWN)
"""Secrets that the scenarios use. Only the hub's has the shape of a key: the others are only known by where they stand."""

_CAPTURED = f"{tempfile.gettempdir()}/#"


class Leftovers:
    """Notes what there is when it is made; `check` fails for whatever has come to stay.

    Args:
        folder: Everything that a run may write is in here, and is searched for secrets, databases and logs included.

    Attributes:
        env: For each server that is started: processes with it are found wherever they end up.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = Mark()
        self._seen: list[str] = []
        self._children = children()
        self._descriptors = descriptors()
        self._threads = set(threading.enumerate())

    @property
    def env(self) -> dict[str, str]:
        return self._mark.env

    def pids(self) -> list[int]:
        """Living processes that were started with `env`."""
        return self._mark.pids()

    async def running(self, count: int) -> list[int]:
        """Wait until at least so many processes that were started with `env` run."""
        return await self._mark.running(count)

    def seen(self, *texts: object) -> None:
        """Something that a user, a log or a model got to see: it is searched for secrets, too."""
        self._seen += [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text) for text in texts]

    def check(self) -> None:
        self.check_secrets()
        _wait(lambda: _named(self.pids()), "processes with the mark")
        _wait(lambda: _named(children() - self._children), "children of this process")
        _wait(lambda: _more(descriptors(), self._descriptors), "open descriptors")
        _wait(lambda: {thread for thread in _own_threads() if thread not in self._threads}, "threads")

    def check_secrets(self) -> None:
        """No planted secret is in what was seen, nor in any file of the folder."""
        for text in self._seen:
            for secret in PLANTED:
                assert secret not in text, f"{secret} was shown: {_around(text, secret)}"
        for path in files(self.folder):
            data = path.read_bytes()
            for secret in PLANTED:
                assert secret.encode() not in data, f"{secret} was written to {path}"


def files(folder: Path) -> Iterable[Path]:
    """All files below `folder`; links are not followed."""
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                yield path


def children() -> set[int]:
    """Processes that this one has started, and that these have, which still run (or were not waited for)."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:  # it ended meanwhile
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def descriptors() -> Mapping[str, int]:
    """What is open, and how often: files by their path, others by their kind."""
    found: dict[str, int] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the listing's own
            continue
        if target.startswith(_CAPTURED) and target.endswith(" (deleted)"):  # what pytest keeps output in
            continue
        kind = target.partition(":")[0] if ":[" in target else target
        found[kind] = found.get(kind, 0) + 1
    return found


async def no_task_left(before: set[asyncio.Task[Any]]) -> None:
    """Wait until no task runs that didn't run before. The test runner's own don't count."""
    deadline = time.monotonic() + WITHIN_S
    while left := {task for task in asyncio.all_tasks() - before if "TestRunner" not in repr(task.get_coro())}:
        assert time.monotonic() < deadline, f"tasks are left: {left}"
        await asyncio.sleep(0.01)


def _named(pids: Iterable[int]) -> dict[int, str]:
    found = {}
    for pid in pids:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:  # it ended meanwhile
            continue
        found[pid] = command or "(ended, and nobody has waited for it)"
    return found


def _more(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {what: count for what, count in now.items() if count > before.get(what, 0)}


def _own_threads() -> list[threading.Thread]:
    """Threads that somebody waits for; those of the servers in this process end with their connections."""
    return [thread for thread in threading.enumerate() if not thread.daemon]


def _wait(left: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while found := left():
        assert time.monotonic() < deadline, f"{what} are left: {found}"
        gc.collect()
        time.sleep(0.01)


def _around(text: str, secret: str) -> str:
    at = text.index(secret)
    return "…" + text[max(0, at - 200) : at + 200] + "…"
