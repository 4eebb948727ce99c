"""The objects that hand a streamed answer out, piece by piece, and own its connection. What a piece is: `events.py`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Generic, Self, TypeVar

import anyio

from tiny_agents.errors import InferenceConnectionError, InferenceTimeoutError
from tiny_agents.inference.events import Events
from tiny_agents.inference.http import AsyncResponseStream, SyncResponseStream
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.inference.wire import public_url, silence

DRAIN_S = 0.25

C = TypeVar("C")


class _Silence:
    """The limit on time without data: comments and keep-alives don't move it."""

    def __init__(self, timeout_s: float, url: str) -> None:
        self._timeout_s = timeout_s
        self._url = url
        self._since = time.monotonic()

    def check(self) -> None:
        if time.monotonic() - self._since > self._timeout_s:
            raise InferenceTimeoutError(silence(public_url(self._url), self._timeout_s), timeout_s=self._timeout_s)


class Stream(Generic[C]):
    """Pieces of a streamed answer, as they arrive: iterate over it.

    It owns the connection: closed at the end, by `close()`, and by leaving its `with` block. An error does not take back
    pieces that were handed out. The time limit runs while it is waited for data, not while the caller is busy.
    """

    def __init__(self, response: SyncResponseStream | None, events: Events[C], ready: Iterable[C] = ()):
        self._response = response
        self._events = events
        self._ready = deque(ready)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> C:
        if not self._ready:
            self._read()
        return self._ready.popleft()

    def _read(self) -> None:
        """Wait until there is a piece. Raises StopIteration at the end."""
        if self._response is None:
            raise StopIteration
        events = self._events
        quiet = _Silence(self._response.timeout_s, self._response.url)
        try:
            while not self._ready:
                data = self._response.read()
                if data is None:
                    self._ready.extend(events.end())
                    if not self._ready:
                        raise StopIteration
                elif not events.done:  # what follows the end is read, so that the connection can be used again
                    self._ready.extend(events.feed(data))
                    if not self._ready:
                        quiet.check()
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            self.close()
            if (meaning := events.broke(error)) is None:
                raise StopIteration from None
            raise meaning from error
        except BaseException:
            self.close()
            raise

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

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> C:
        if not self._ready:
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """Wait until there is a piece. Raises StopAsyncIteration at the end."""
        if self._response is None:
            raise StopAsyncIteration
        events = self._events
        quiet = _Silence(self._response.timeout_s, self._response.url)
        try:
            while not self._ready:
                if events.done:
                    await self._read_rest(self._response)
                    raise StopAsyncIteration
                data = await self._response.read()
                if data is None:
                    self._ready.extend(events.end())
                    if not self._ready:
                        raise StopAsyncIteration
                else:
                    self._ready.extend(events.feed(data))
                    if not self._ready:
                        quiet.check()
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            await self.aclose()
            if (meaning := events.broke(error)) is None:
                raise StopAsyncIteration from None
            raise meaning from error
        except BaseException:
            await self.aclose()
            raise

    async def _read_rest(self, response: AsyncResponseStream) -> None:
        """Read what follows the end, so that the connection can be used again; a server that dawdles isn't waited for."""
        with anyio.move_on_after(DRAIN_S):
            while await response.read() is not None:
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
