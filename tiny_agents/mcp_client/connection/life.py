"""`Life`: one life of a server, from a start to its end, and the rules by which lives and calls end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from tiny_agents.mcp_client.connection.changes import KeptLists
from tiny_agents.mcp_client.connection.servers import RESTARTS
from tiny_agents.mcp_client.connection.watch import ConnectionLost, Watch

if TYPE_CHECKING:
    from types import TracebackType

    from tiny_agents.mcp_client.connection.subscriptions import Subscriber
    from tiny_agents.mcp_client.tools.table import ServerTool
    from tiny_agents.mcp_client.transports.session import Session

MAX_CALL_S = 3_600.0
"""Longest time of a call that keeps reporting progress, unless its time limit is longer anyway."""

RESTART_DELAYS_S = (0.0, 0.5, 2.0)
"""Waits before a lost server is started again, one per time it went away without a successful call in between."""

RESTART_REST_S = 60.0
"""How long a server that was lost more often than that is left alone."""

CLOSE_S = 10.0  # far more than an orderly end takes; after that the owner is cancelled


class Life:
    """One life of a server: from a start to its end.

    Attributes:
        owner: The task that entered the session and will leave it.
        started: Set when the server is ready, and when it is clear that it never will be.
        leave: Tells the owner to leave.
        over: Whether nothing more can come from the server.
        calls: Time limits of the calls that wait for an answer, and their seconds; ending one ends its call.
        starting: The time limit of the start, and its seconds.
    """

    owner: asyncio.Task[None]

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        self._on_lost = on_lost
        self.watch = Watch(on_lost=self._lose, on_pause=self.pause)
        self.session: Session | None = None
        self.subscriber: Subscriber | None = None
        self.kept = KeptLists(self.watch.changes)
        self.tools: list[ServerTool] = []
        self.error: Exception | None = None
        self.started = asyncio.Event()
        self.leave = asyncio.Event()
        self.over = False
        self.calls: dict[asyncio.Timeout, float] = {}
        self.starting: tuple[asyncio.Timeout, float] | None = None

    @property
    def running(self) -> Session:
        """The session of a server that is ready."""
        assert self.session is not None
        return self.session

    @property
    def is_ready(self) -> bool:
        """Whether it has begun, and isn't over."""
        return self.started.is_set() and not self.over

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it belongs to."""
        return self.owner.get_loop()

    async def follow(self, uris: frozenset[str]) -> None:
        assert self.subscriber is not None
        await self.subscriber.follow(uris)

    def close(self) -> None:
        """Begin the end of this life; its calls fail."""
        if not self.started.is_set():
            self.watch.grace_s = 0.0
        self.watch.lose("was closed")

    async def leave_for_good(self) -> None:
        """End this life, and wait for its end; the owner of one that doesn't come to it is cancelled."""
        self.close()
        if not await ends(self.owner):
            self.owner.cancel()
            await ends(self.owner)

    async def abandon(self) -> None:
        """End a start that takes too long or is no longer wanted, without waiting for the server's consent."""
        self.close()
        await ends(self.owner)

    def _lose(self) -> None:
        self.end()
        if self.session is not None:
            self._on_lost(self.watch.how)

    def pause(self, paused: bool) -> None:
        """While the server waits for us, its calls may take an hour; after that their time begins anew."""
        now = asyncio.get_running_loop().time()
        if self.starting is not None and not (self.started.is_set() or self.starting[0].expired()):
            limit, limit_s = self.starting
            limit.reschedule(None if paused else now + limit_s)  # what the server waits for has a limit of its own
        for limit, limit_s in self.calls.items():
            if not (self.over or limit.expired()):
                limit.reschedule(now + (max(MAX_CALL_S, limit_s) if paused else limit_s))

    def end(self) -> None:
        """Nothing more can come: the calls that wait end, and so does the owner."""
        self.over = True
        self.leave.set()
        now = asyncio.get_running_loop().time()
        for limit in self.calls:
            if not limit.expired():
                limit.reschedule(now)
        if not self.started.is_set() and self.owner is not asyncio.current_task():
            self.owner.cancel()


class Limited(msgspec.Struct, gc=False):
    """`async with`: a time limit that ends at once when the server goes away.

    Raises:
        ConnectionLost: It did.
        TimeoutError: The time is over.
    """

    _life: Life
    _limit_s: float
    _limit: asyncio.Timeout = msgspec.field(default_factory=lambda: asyncio.timeout(None))

    def __post_init__(self) -> None:
        self._limit = asyncio.timeout(self._limit_s)

    async def __aenter__(self) -> asyncio.Timeout:
        limit = await self._limit.__aenter__()
        self._life.calls[limit] = self._limit_s
        return limit

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        life = self._life
        del life.calls[self._limit]
        try:
            await self._limit.__aexit__(exc_type, exc, traceback)
            if isinstance(exc, TimeoutError):
                raise exc
        except TimeoutError:
            if life.over:
                raise ConnectionLost(life.watch.how or "closed the connection") from None
            raise
        if isinstance(exc, ConnectionLost) and exc.gone:
            life.watch.lose(exc.how)


_owners: set[asyncio.Task[None]] = set()  # an event loop holds its tasks only weakly


def keep(task: asyncio.Task[None]) -> None:
    """Hold a task until its end."""
    _owners.add(task)
    task.add_done_callback(_owners.discard)


async def ends(task: asyncio.Task[None]) -> bool:
    """Wait for a task's end, at most `CLOSE_S`; says whether it came. What it raised doesn't matter here."""
    if not task.done():  # one that is done may belong to an event loop that is gone
        await asyncio.wait({task}, timeout=CLOSE_S)
    return task.done()


def restart_delay(restarts: int, since_last_s: float, most: int = RESTARTS) -> float | None:
    """Seconds to wait before a lost server is started again; None if it is to be left alone for now.

    Args:
        restarts: How often it was started again without a successful call since.
        since_last_s: Seconds since its last start.
        most: How often that may be, before it is left alone for a while; 0 is never.
    """
    if restarts < most:
        return RESTART_DELAYS_S[min(restarts, len(RESTART_DELAYS_S) - 1)]
    return 0.0 if most and since_last_s >= RESTART_REST_S else None


def deadline(began: float, now: float, limit_s: float) -> float:
    """When a call that began at `began` and reported progress at `now` has to end."""
    return min(now + limit_s, began + max(MAX_CALL_S, limit_s))
