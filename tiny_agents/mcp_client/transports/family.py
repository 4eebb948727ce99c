"""Processes that a server started in sessions of their own: its group doesn't hold them, and they are ended with it.

Browsers are started like that. What has made itself a daemon (nobody's child any more) wasn't to end with the server, and
stays. Known where there is a /proc; elsewhere a server's group is all there is.
"""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

ENDED = (b"Z", b"X")  # states of what has ended and only wasn't collected yet


class Entry(msgspec.Struct, frozen=True):
    """A line of the system's table of processes; `started` tells one from another that got its number later."""

    state: bytes
    parent: int
    group: int
    started: bytes


def process_table() -> Mapping[int, Entry]:
    """All processes by their numbers; empty where nobody knows."""
    try:
        numbers = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    except OSError:
        return {}
    found = {number: _entry(number) for number in numbers}
    return {number: entry for number, entry in found.items() if entry is not None}


def _entry(pid: int) -> Entry | None:
    try:
        fields = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None  # it ended meanwhile
    return Entry(fields[0], int(fields[1]), int(fields[2]), fields[19])


def strayed(leader: int, table: Mapping[int, Entry]) -> dict[int, Entry]:
    """Descendants of `leader` that are in other groups than its own."""
    children = defaultdict(list)
    for pid, entry in table.items():
        children[entry.parent].append(pid)
    found: dict[int, Entry] = {}
    below = list(children[leader])
    while below:
        pid = below.pop()
        if table[pid].group != leader:
            found[pid] = table[pid]
        below += children[pid]
    return found


class Family:
    """Those of one server, as far as they were seen while their parents lived."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._seen: dict[int, Entry] = {}

    def look(self) -> None:
        """Note who is there."""
        self._seen |= strayed(self._leader, process_table())

    def living(self) -> list[int]:
        return [pid for pid, entry in self._seen.items() if _is(pid, entry)]

    def signal(self, how: int) -> None:
        send(self.living(), how)


def _is(pid: int, known: Entry) -> bool:
    entry = _entry(pid)
    return entry is not None and entry.started == known.started and entry.state not in ENDED


def send(pids: Iterable[int], how: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, how)
        except (ProcessLookupError, PermissionError):
            continue  # it ended meanwhile, or became somebody else's


KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
