"""The objects that hand a streamed answer out, piece by piece, and own its connection. What a piece is: `events.py`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import anyio

from tiny_agents.errors import InferenceConnectionError, InferenceTimeoutError, public_url
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.inference.wire import silence

if TYPE_CHECKING:
    from tiny_agents.inference.events import Events
    from tiny_agents.inference.http.asynchronous import AsyncResponseStream
    from tiny_agents.inference.http.blocking import SyncResponseStream

DRAIN_S = 0.25
AFTERWORD_S = 10.0
"""How long an answer is waited for that is whole: what it used may follow, and the end; neither has to."""

C = TypeVar("C")

_AS_LONG_AS_IT_TAKES = nullcontext()  # one for all: it is entered with each chunk


def _check_silence(since: float, response: SyncResponseStream | AsyncResponseStream, whole: bool) -> None:
    """The limit on time in which nothing is said: comments, keep-alives and empty pieces don't move it."""
    limit = min(response.timeout_s, AFTERWORD_S) if whole else response.timeout_s
    if time.monotonic() - since > limit:
        raise InferenceTimeoutError(silence(public_url(response.url), limit), timeout_s=limit)


class Stream(Generic[C]):
    """Pieces of a streamed answer, as they arrive: iterate over it.

    It owns the connection: closed at the end, by `close()`, and by leaving its `with` block. An error does not take back
    pieces that were handed out. The time limit runs while it is waited for data, not while the caller is busy.
    """

    def __init__(self, response: SyncResponseStream | None, events: Events[C], ready: Iterable[C] = ()):
        self._response = response
        self._events = events
        self._ready = deque(ready)
        self._quiet_s = 0.0  # waited for, before pieces that said nothing

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> C:
        if not self._ready:
            self._ready.extend(self.arrived())
            if not self._ready:
                raise StopIteration
        return self._ready.popleft()

    def arrived(self) -> list[C]:
        """All pieces that are there; waits until there is one. Empty at the end."""
        if self._ready:
            pieces = list(self._ready)
            self._ready.clear()
            return pieces
        response, events = self._response, self._events
        if response is None:
            return []
        since = time.monotonic() - self._quiet_s
        ended_at = None
        try:
            for data in response.data:
                if not events.done:
                    pieces = events.feed(data)
                    if pieces and events.told():
                        self._quiet_s = 0.0
                        return pieces
                    _check_silence(since, response, events.whole)
                    if pieces:
                        self._quiet_s = time.monotonic() - since
                        return pieces
                elif ended_at is None:  # what follows the end is read, so that the connection can be used again
                    ended_at = time.monotonic()
                elif time.monotonic() - ended_at > DRAIN_S:
                    break
            if pieces := events.end():
                return pieces
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            self.close()
            if (meaning := events.broke(error)) is not None:
                raise meaning from error
        except BaseException:
            self.close()
            raise
        self.close()
        return []

    def close(self) -> None:
        """Close the connection; what was not read is given up. Closing twice is fine."""
        if self._response is not None:
            response, self._response = self._response, None
            response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class AsyncStream(Generic[C]):
    """Pieces of a streamed answer, as they arrive: iterate over it with `async for`.

    It owns the connection: closed at the end, by `aclose()`, by leaving its `async with` block, and when it is dropped
    half read. An error does not take back pieces that were handed out. The time limit runs while it is waited for data,
    not while the caller is busy.
    """

    def __init__(self, response: AsyncResponseStream | None, events: Events[C], ready: Iterable[C] = ()):
        self._response = response
        self._events = events
        self._ready = deque(ready)
        self._quiet_s = 0.0  # waited for, before pieces that said nothing

    @property
    def url(self) -> str | None:
        """Where it comes from, while it is open."""
        return self._response.url if self._response is not None else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> C:
        if not self._ready:
            self._ready.extend(await self.arrived())
            if not self._ready:
                raise StopAsyncIteration
        return self._ready.popleft()

    async def arrived(self) -> list[C]:
        """All pieces that are there; waits until there is one. Empty at the end."""
        if self._ready:
            pieces = list(self._ready)
            self._ready.clear()
            return pieces
        response, events = self._response, self._events
        if response is None:
            return []
        since = time.monotonic() - self._quiet_s
        try:
            ended = events.done
            if not ended:
                with anyio.move_on_after(AFTERWORD_S) if events.whole else _AS_LONG_AS_IT_TAKES:
                    async for data in response.data:
                        pieces = events.feed(data)
                        if pieces and events.told():
                            self._quiet_s = 0.0
                            return pieces
                        if events.done and not pieces:
                            break
                        _check_silence(since, response, events.whole)
                        if pieces:
                            self._quiet_s = time.monotonic() - since
                            return pieces
                    else:
                        if pieces := events.end():
                            return pieces
            await self._read_rest(response)
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            await self.aclose()
            if (meaning := events.broke(error)) is not None:
                raise meaning from error
        except BaseException:
            await self.aclose()
            raise
        await self.aclose()
        return []

    def put_back(self, pieces: Iterable[C]) -> None:
        """Hand these out first, once more."""
        self._ready.extendleft(reversed(list(pieces)))

    async def _read_rest(self, response: AsyncResponseStream) -> None:
        """Read what follows the end, so that the connection can be used again; a server that dawdles isn't waited for."""
        with anyio.move_on_after(DRAIN_S):
            async for _ in response.data:
                continue

    async def aclose(self) -> None:
        """Close the connection; what was not read is given up. Closing twice is fine."""
        if self._response is not None:
            response, self._response = self._response, None
            await response.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._response is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # no loop runs any more: the sockets go with it
        _closing.add(task := loop.create_task(self._response.aclose()))
        task.add_done_callback(_closing.discard)


_closing: set[asyncio.Task[None]] = set()  # tasks are kept alive only by their references

ChatStream = Stream[ChatCompletionStreamOutput]
AsyncChatStream = AsyncStream[ChatCompletionStreamOutput]
