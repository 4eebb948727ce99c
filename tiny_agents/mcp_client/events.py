"""What happens at the servers besides the results of calls, for callers who want to see it."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from operator import length_hint
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from weakref import WeakSet

import msgspec

if TYPE_CHECKING:
    import asyncio

    from tiny_agents.mcp_client.connection.changes import Offered
    from tiny_agents.mcp_client.host.host import Asked
    from tiny_agents.mcp_client.results.results import ToolResult

T = TypeVar("T")

MAX_WAITING = 1_000
"""Events that wait to be taken; where more come, the oldest are lost."""

MAX_AT_ONCE = 16
"""Items that are taken in a row before others get their turn, such as those who cancel."""


class ToolProgress(msgspec.Struct, frozen=True):
    """A running call is at `done` of `total` (None: nobody knows), in the server's own measure."""

    server: str
    tool: str
    done: float
    total: float | None = None
    message: str | None = None


class ToolAnswered(msgspec.Struct, frozen=True):
    """A call that the model made has come to its end; of several, one may before those ahead of it.

    Attributes:
        call_id: That of the tool message with which the history goes on.
        result: All of it, also the images and the text that the model doesn't get.
    """

    call_id: str
    server: str
    tool: str
    result: ToolResult


class ServerLog(msgspec.Struct, frozen=True):
    """A server reports something: `level` as in syslog, `data` is text or any JSON."""

    server: str
    level: str
    data: Any
    logger: str | None = None


class ServerLost(msgspec.Struct, frozen=True):
    """The connection is gone; `how` continues the server's name."""

    server: str
    how: str


class ServerReturned(msgspec.Struct, frozen=True):
    """A server that was lost has been started again."""

    server: str


class ServerAsked(msgspec.Struct, frozen=True):
    """A server asks us something, or wants a login, and the host is about to answer."""

    request: Asked


class ListChanged(msgspec.Struct, frozen=True):
    """A server offers other tools, prompts or resources than before. Tools are listed anew by then.

    Attributes:
        added, removed: Names of the tools that came and went.
    """

    server: str
    of: Offered
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class ResourceUpdated(msgspec.Struct, frozen=True):
    """A resource that was subscribed to has changed, or may have: the server was away, so that nobody knows.

    Attributes:
        uri: The one that was subscribed to, or one below it.
    """

    server: str
    uri: str


class ToolChanged(msgspec.Struct, frozen=True):
    """A tool isn't any more what it was when it was first used (see `pinning`).

    Attributes:
        parts: What differs: "description", "input schema", "output schema", "annotations".
        refused: Whether it can't be used until the user accepts it.
    """

    server: str
    tool: str
    parts: tuple[str, ...]
    refused: bool


class ModelChanged(msgspec.Struct, frozen=True):
    """The model `before` can't be had, so `after` is asked; `why` is the error."""

    before: str
    after: str
    why: str


CompactedBy = Literal["summary", "cut", "images", "results"]
"""What was left out: older messages with a summary in their place, or without one; images; the ends of long results."""


class ContextCompacted(msgspec.Struct, frozen=True):
    """A conversation had become too long for its model, so less of it is sent; the conversation itself stays whole.

    Attributes:
        before, after: About how many tokens are sent, tools included.
        max_tokens: What the model takes; None where nobody knows.
        by: What was left out.
        left_out: Messages that the summary stands for, beside those of an earlier one.
    """

    before: int
    after: int
    max_tokens: int | None
    by: CompactedBy
    left_out: int = 0


class InnerEvent(msgspec.Struct, frozen=True):
    """Something happens inside a tool that does several things, such as another agent.

    Attributes:
        tool: The tool.
        call: The id of the call that it happens in; None where it belongs to no single one.
        event: What a run of that agent yields: chunks, results of tools, events of its servers, and of its own agents.
    """

    tool: str
    call: str | None
    event: Any


class ToolsDeferred(msgspec.Struct, frozen=True):
    """There are many tools, so some of them aren't sent: the model finds them with a search. Said again when that changes.

    Attributes:
        sent: Tools that are sent, the search included.
        known: All of them.
        tokens_saved: About how many tokens each turn is shorter.
    """

    sent: int
    known: int
    tokens_saved: int


ServerEvent = (
    ContextCompacted
    | ToolsDeferred
    | ModelChanged
    | InnerEvent
    | ToolProgress
    | ToolAnswered
    | ServerLog
    | ServerLost
    | ServerReturned
    | ServerAsked
    | ListChanged
    | ResourceUpdated
    | ToolChanged
)


class AtHand:
    """Which items of an iteration have come already: whoever yields them says so, for whoever takes them.

    Attributes:
        rest: What is iterated over just now, of a known length; each of it is yielded without waiting for anything.
    """

    rest: Iterator[object] = iter(())

    def has_next(self) -> bool:
        """Whether the next item needn't be waited for; False also now and then, so that others get their turn."""
        return length_hint(self.rest) % MAX_AT_ONCE != 0


class Events:
    """Hands events to those who listen at the moment: of a client's first conversation, or of one beside it."""

    def __init__(self) -> None:
        self._listeners: list[EventStream] = []
        self._followers: list[Callable[[ServerEvent], None]] = []
        self._conversations: WeakSet[Events] = WeakSet((self,))

    def of_another(self) -> Events:
        """Those of another conversation of the same client."""
        other = Events()
        other._followers, other._conversations = self._followers, self._conversations
        self._conversations.add(other)
        return other

    def follow(self, follower: Callable[[ServerEvent], None]) -> None:
        """Tell of each event of all conversations from now on, at once and for good."""
        self._followers.append(follower)

    def emit(self, event: ServerEvent) -> None:
        """Something happened in this conversation."""
        for follower in self._followers:
            follower(event)
        self._tell(event)

    def emit_to_all(self, event: ServerEvent) -> None:
        """Something happened that concerns all conversations."""
        for follower in self._followers:
            follower(event)
        for conversation in list(self._conversations):
            conversation._tell(event)

    def _tell(self, event: ServerEvent) -> None:
        for listener in self._listeners:
            listener.events.append(event)
            listener.some.set()

    async def beside(self, items: AsyncGenerator[T, None], at_hand: AtHand) -> AsyncGenerator[T | ServerEvent, None]:
        """The items, and the events that happen meanwhile; `items` is closed at the end.

        Events are handed out as they come, also while the next item is waited for. That takes a task for the item, so what
        is at hand is taken without one.
        """
        import asyncio

        item: asyncio.Task[T] | None = None
        try:
            with self.listening() as listener:
                while True:
                    if at_hand.has_next():
                        item = None
                    else:
                        item = asyncio.create_task(_next(items))
                        item.add_done_callback(lambda _: listener.some.set())
                        while not item.done():
                            await listener.some.wait()
                            for event in listener.taken():
                                yield event
                    try:
                        result = await _next(items) if item is None else item.result()
                    except Exception as end:
                        for event in listener.taken():  # what happened before comes first
                            yield event
                        if isinstance(end, _End):
                            return
                        raise
                    if listener.events:
                        for event in listener.taken():
                            yield event
                    yield result
        finally:
            if item is not None and not item.done():
                item.cancel()
                await asyncio.wait({item})
            await items.aclose()

    def close(self) -> None:
        """Nothing more will happen: those who listen come to the end."""
        for conversation in list(self._conversations):
            for listener in conversation._listeners:
                listener.closed = True
                listener.some.set()

    @contextmanager
    def listening(self) -> Iterator[EventStream]:
        listener = EventStream()
        self._listeners.append(listener)
        try:
            yield listener
        finally:
            self._listeners.remove(listener)


class EventStream:
    """Events on their way to one listener, who iterates over them as they happen."""

    def __init__(self) -> None:
        import asyncio

        self.events: deque[ServerEvent] = deque(maxlen=MAX_WAITING)
        self.some = asyncio.Event()
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ServerEvent:
        """The next event; the end comes when the client is closed."""
        while not self.events:
            if self.closed:
                raise StopAsyncIteration
            self.some.clear()
            await self.some.wait()
        return self.events.popleft()

    def taken(self) -> Iterator[ServerEvent]:
        self.some.clear()
        while self.events:
            yield self.events.popleft()


class _End(Exception):
    """There are no more items. A task can't end in StopAsyncIteration."""


async def _next(items: AsyncGenerator[T, None]) -> T:
    try:
        return await anext(items)
    except StopAsyncIteration:
        raise _End from None
