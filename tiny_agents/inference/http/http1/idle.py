"""Connections that wait for another request, of a pool for tasks or for threads. No clock: who asks says what time it is."""

from __future__ import annotations

import math
import select
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

KEEP_S = 30.0
"""How long a connection is kept that nobody uses. Servers close theirs after 5 to 75 s, which is noticed at once."""

SWEEP_S = 1.0
"""How often it is looked for those, at most: hundreds may be opened at once."""

MAX_KEPT = 1_000
"""For many conversations at once: what is closed after each request would have to be opened anew for the next."""

Origin = tuple[str, str, int]


class Keepable(Protocol):
    """A connection; `idle_since` is when its last answer ended."""

    idle_since: float


C = TypeVar("C", bound=Keepable)


class Idle(Generic[C]):
    """Connections by where they lead to.

    Args:
        is_gone: Whether one has ended meanwhile, and is dropped with the old ones.
    """

    def __init__(self, is_gone: Callable[[C], bool] = lambda _: False) -> None:
        self._kept: dict[Origin, list[C]] = {}
        self._is_gone = is_gone
        self._swept_at = -math.inf

    def __iter__(self) -> Iterator[C]:
        return (connection for kept in self._kept.values() for connection in kept)

    def put(self, origin: Origin, connection: C) -> bool:
        """Keep one; False if there are too many already."""
        if sum(map(len, self._kept.values())) >= MAX_KEPT:
            return False
        self._kept.setdefault(origin, []).append(connection)
        return True

    def pop(self, origin: Origin) -> C | None:
        """The latest one that leads there, which isn't kept any more."""
        kept = self._kept.get(origin)
        return kept.pop() if kept else None

    def old(self, now: float) -> list[C]:
        """Those that nobody has used for long, wherever they lead to: they aren't kept any more, and have to be closed."""
        if now - self._swept_at < SWEEP_S:
            return []
        self._swept_at = now
        dropped: list[C] = []
        for origin, kept in list(self._kept.items()):
            stays: list[C] = []
            for connection in kept:
                (stays if is_fresh(connection, now) and not self._is_gone(connection) else dropped).append(connection)
            if stays:
                self._kept[origin] = stays
            else:
                del self._kept[origin]
        return dropped

    def clear(self) -> list[C]:
        """All of them, which aren't kept any more."""
        connections = list(self)
        self._kept.clear()
        return connections


def is_fresh(connection: Keepable, now: float) -> bool:
    return connection.idle_since > now - KEEP_S


def has_arrived(fd: int) -> bool:
    """Whether there is something to read: on an idle connection its end, or something unasked."""
    if not hasattr(select, "poll"):
        return bool(select.select([fd], [], [], 0)[0])
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))
