"""One TCP connection of asyncio's: sends a request, hands over the answer as it arrives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextvars import Context
from typing import cast

import httpx2

from tiny_agents.inference.http.http1.idle import has_arrived
from tiny_agents.inference.http.http1.reading import AnswerReader, BadAnswer

MAX_UNREAD_BYTES = 256 * 1024
"""How much of an answer is read ahead of who reads it."""


class Connection(asyncio.Protocol):
    """A connection to one host.

    Every wait has its limit. A request that doesn't come to its end takes the connection with it: `abort`.

    Attributes:
        idle_since: When its last answer ended, by the loop's clock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader: AnswerReader | None = None
        self._error: Exception | None = None  # why nothing more arrives
        self._waiter: asyncio.Future[None] | None = None
        self._until: float | None = None
        self._due = 0.0
        self._alarm: asyncio.TimerHandle | None = None
        self._may_write = True
        self._may_read = True
        self._is_closed = False
        self._closed: asyncio.Future[None] | None = None  # for who waits for that
        self.idle_since = loop.time()

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing() and self._error is None

    @property
    def is_quiet(self) -> bool:
        """Whether nothing arrived while it was idle, such as its end: the loop may have been too busy to see that."""
        return self._transport is None or not has_arrived(self._transport.get_extra_info("socket").fileno())

    # ---- one request

    def begin(self, method: str, until: float | None = None) -> None:
        """A request begins, whose answer's head has to be there at `until`, by the loop's clock."""
        self._reader = AnswerReader(method)
        self._until = until

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def written(self, limit_s: float | None) -> None:
        """Wait until more may be written; returns too if the answer comes first, or the connection ends.

        Raises httpx2.WriteTimeout.
        """
        while not self._may_write and not self._has_head and self._error is None:
            if not await self._wait(limit_s):
                raise httpx2.WriteTimeout("the server doesn't read what is sent to it")

    async def head(self, limit_s: float | None) -> AnswerReader:
        """The answer, as soon as its head is there. Raises httpx2.ReadTimeout, ReadError, RemoteProtocolError."""
        while not self._has_head:
            if self._error is not None:
                raise self._error
            if not await self._wait(limit_s):
                raise httpx2.ReadTimeout("no answer within the limit")
        assert self._reader is not None
        self._until = None
        return self._reader

    async def body(self, limit_s: float | None) -> AsyncIterator[bytes]:
        """The answer's body, as much at a time as has arrived. Raises as `head`."""
        reader = self._reader
        assert reader is not None
        while True:
            if reader.unread and (data := reader.take()):
                if not self._may_read:
                    self._read_on()
                yield data
            elif reader.complete:
                return
            elif self._error is not None:
                raise self._error
            elif not await self._wait(limit_s):
                raise httpx2.ReadTimeout("nothing arrived within the limit")

    def finish(self) -> bool:
        """End the request; says whether the connection can take another one. If not it is closed."""
        reader, self._reader = self._reader, None
        if reader is not None and reader.complete and reader.reusable and self.is_open:
            if not self._may_read:
                self._read_on()
            self.idle_since = self._loop.time()
            return True
        self.abort()
        return False

    # ---- its end

    def abort(self) -> None:
        """Close it at once; what is still to be written is dropped."""
        self._silence()
        if self._transport is not None:
            self._transport.abort()

    async def closed(self) -> None:
        if self._transport is not None and not self._is_closed:
            if self._closed is None:
                self._closed = self._loop.create_future()
            await asyncio.shield(self._closed)

    # ---- waiting

    @property
    def _has_head(self) -> bool:
        return self._reader is not None and self._reader.has_head

    async def _wait(self, limit_s: float | None) -> bool:
        """Wait until something happens. False if nothing did within `limit_s`."""
        waiter = self._waiter = self._loop.create_future()
        if limit_s is not None or self._until is not None:
            # One alarm for all waits, set anew when it rings too early: cheaper than one for each.
            due = math.inf if limit_s is None else self._loop.time() + limit_s
            self._due = due if self._until is None else min(due, self._until)
            if self._alarm is None or self._alarm.when() > self._due:
                self._silence()
                self._set_alarm()
        try:
            return await waiter is None
        except TimeoutError:
            return False
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _ring(self) -> None:
        self._alarm = None
        if self._waiter is None or self._waiter.done():
            return
        if self._loop.time() >= self._due - 0.001:
            self._waiter.set_exception(TimeoutError())
        else:
            self._set_alarm()

    def _set_alarm(self) -> None:
        # It may outlive the request, whose context variables (such as the span of a trace) it must not hold.
        self._alarm = self._loop.call_at(self._due, self._ring, context=Context())

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _read_on(self) -> None:
        self._may_read = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # ---- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:  # it says something unasked: that would be taken for the next answer
            self.abort()
            return
        try:
            reader.feed(data)
        except BadAnswer as error:
            self._error = httpx2.RemoteProtocolError(str(error))
            self.abort()
        if reader.unread > MAX_UNREAD_BYTES and self._may_read and self._transport is not None:
            self._may_read = False
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)
        self._silence()
        self._is_closed = True
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def _ended(self, error: Exception | None) -> None:
        if self._error is None:
            self._error = httpx2.ReadError(str(error) if error is not None else "the connection was closed")
            if self._reader is not None and error is None:
                try:
                    self._reader.end()
                except BadAnswer as problem:
                    self._error = httpx2.RemoteProtocolError(str(problem))
        self._wake()

    def pause_writing(self) -> None:
        self._may_write = False

    def resume_writing(self) -> None:
        self._may_write = True
        self._wake()
