"""What servers say has changed, and the lists that may be kept until they do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

Offered = Literal["tools", "prompts", "resources"]
"""What a server offers lists of."""

ListKind = Literal["prompts", "resources", "resource templates"]

CHANGED_BY: dict[ListKind, Offered] = {
    "prompts": "prompts",
    "resources": "resources",
    "resource templates": "resources",
}
"""Which notice says that a list is out of date."""

MAX_WAITING = 1_000
"""Most different changes that wait to be told; a server that announces more is not heard in full."""

PAUSE_S = 0.5
"""Between two tellings: what is announced all the time is told this often."""


class Change(msgspec.Struct, frozen=True):
    """`uri` is that of the one resource that changed; None where a list did."""

    of: Offered
    uri: str | None = None


class Changes:
    """What one server has announced and nobody was told yet: each thing once, however often it came."""

    def __init__(self) -> None:
        self._waiting: dict[Change, None] = {}
        self._some = asyncio.Event()
        self._times: Counter[Offered] = Counter()

    def note(self, change: Change) -> None:
        if change.uri is None:
            self._times[change.of] += 1
        if len(self._waiting) < MAX_WAITING:
            self._waiting[change] = None
        self._some.set()

    def times(self, of: Offered) -> int:
        """How often a list was said to have changed."""
        return self._times[of]

    async def tell(self, tell: Callable[[Change], None]) -> None:
        """Tell of each change. Ends by being cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            waiting, self._waiting = self._waiting, {}
            for change in waiting:
                tell(change)
            await asyncio.sleep(PAUSE_S)


class _Kept(msgspec.Struct, frozen=True):
    items: Sequence[Any]
    until: float
    times: int


class KeptLists:
    """Lists of one server, kept for as long as it said that they hold (`ttlMs`) and it announces no change."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._kept: dict[ListKind, _Kept] = {}

    def find(self, kind: ListKind, now: float) -> Sequence[Any] | None:
        kept = self._kept.get(kind)
        if kept is None or now >= kept.until or kept.times != self.times(kind):
            return None
        return kept.items

    def times(self, kind: ListKind) -> int:
        """To be taken before listing, so that a change in the middle of it isn't missed."""
        return self._changes.times(CHANGED_BY[kind])

    def keep(self, kind: ListKind, items: Sequence[Any], *, until: float, times: int) -> None:
        self._kept[kind] = _Kept(items, until, times)
