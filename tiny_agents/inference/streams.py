"""A streamed answer: bytes -> events -> chunks, and the objects that hand them out and own the connection."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable
from typing import Self

import anyio
import msgspec

from tiny_agents.errors import (
    IncompleteStreamError,
    InferenceConnectionError,
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
)
from tiny_agents.inference.call import Route
from tiny_agents.inference.http import AsyncResponseStream, SyncResponseStream
from tiny_agents.inference.providers.chat import error_in_answer
from tiny_agents.inference.sse import ErrorPayload, SSEDecoder
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput, decode_chunk
from tiny_agents.inference.wire import public_url, silence

DONE = b"[DONE]"
DRAIN_S = 0.25


class ChatEvents:
    """Bytes of a streamed chat answer -> its chunks. Sans-IO.

    `done` is true once nothing more can follow; `finished` once the model has said why it stopped, so that a connection
    which ends then has lost nothing.
    """

    def __init__(self, route: Route, url: str) -> None:
        self.done = False
        self.finished = False
        self._route = route
        self._url = url
        self._decoder = SSEDecoder()
        self._error: InferenceError | None = None

    def feed(self, data: bytes) -> list[ChatCompletionStreamOutput]:
        """The chunks that `data` completes.

        An error that follows chunks is raised by the next call, so that they are handed out first.

        Raises:
            ProviderError: The server sent an error as an event.
            InvalidResponseError: It sent something that is no chunk.
        """
        return self._chunks(self._decoder.feed(data))

    def end(self) -> list[ChatCompletionStreamOutput]:
        """What the end of the connection completes. Raises IncompleteStreamError if the answer isn't whole."""
        try:
            chunks = self._chunks(self._decoder.finish())
        except InvalidResponseError as error:
            raise self._incomplete() from error
        if not chunks and not self.whole:
            raise self._incomplete()
        return chunks

    @property
    def whole(self) -> bool:
        return self.done or self.finished

    def broke(self, cause: InferenceError) -> InferenceError | None:
        """What a broken connection means here: nothing, if the answer was whole."""
        if self.whole:
            return None
        if isinstance(cause, InferenceTimeoutError):
            return cause
        return self._incomplete(str(cause))

    def _incomplete(self, why: str = "") -> IncompleteStreamError:
        where = public_url(self._url)
        return IncompleteStreamError(
            f"The answer of {where} broke off before it was finished. {why}".rstrip(),
            url=where,
            provider=self._route.provider,
            model=self._route.model,
        )

    def _chunks(self, payloads: list[bytes]) -> list[ChatCompletionStreamOutput]:
        if self._error is not None:
            raise self._error
        chunks: list[ChatCompletionStreamOutput] = []
        for payload in payloads:
            if self.done:
                break
            if payload == DONE:
                self.done = True
                break
            try:
                chunk = self._chunk(payload)
            except InferenceError as error:
                if not chunks:
                    raise
                self._error = error
                break
            if chunk.choices and chunk.choices[0].finish_reason:
                self.finished = True
            chunks.append(chunk)
        return chunks

    def _chunk(self, payload: bytes) -> ChatCompletionStreamOutput:
        try:
            chunk = decode_chunk(payload)
        except msgspec.DecodeError as error:
            if type(payload) is ErrorPayload:
                raise error_in_answer(payload, self._url, self._route) from error
            chunk = self._broken_text(payload, error)
        if not chunk.choices and (type(payload) is ErrorPayload or chunk.get("error")):
            raise error_in_answer(payload, self._url, self._route)
        return chunk

    def _broken_text(self, payload: bytes, error: msgspec.DecodeError) -> ChatCompletionStreamOutput:
        """Bytes that are no UTF-8 cost those characters, not the answer."""
        text = payload.decode("utf-8", "replace")
        try:
            return decode_chunk(text.encode())
        except msgspec.DecodeError:
            raise InvalidResponseError(
                f"{public_url(self._url)} sent something that is no chunk of a chat answer: {text[:200]!r}",
                body=text,
                provider=self._route.provider,
                model=self._route.model,
            ) from error


class _Silence:
    """The limit on time without data: comments and keep-alives don't move it."""

    def __init__(self, timeout_s: float, url: str) -> None:
        self._timeout_s = timeout_s
        self._url = url
        self._since = time.monotonic()

    def check(self) -> None:
        if time.monotonic() - self._since > self._timeout_s:
            raise InferenceTimeoutError(silence(public_url(self._url), self._timeout_s), timeout_s=self._timeout_s)


class ChatStream:
    """Chunks of a streamed answer, as they arrive: iterate over it.

    It owns the connection: closed at the end, by `close()`, and by leaving its `with` block. An error does not take back
    chunks that were handed out. The time limit runs while it is waited for data, not while the caller is busy.
    """

    def __init__(
        self, response: SyncResponseStream | None, route: Route, ready: Iterable[ChatCompletionStreamOutput] = ()
    ):
        self._response = response
        self._ready = deque(ready)
        self._events = ChatEvents(route, response.url if response else route.url)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ChatCompletionStreamOutput:
        if not self._ready:
            self._read()
        return self._ready.popleft()

    def _read(self) -> None:
        """Wait until there is a chunk. Raises StopIteration at the end."""
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


class AsyncChatStream:
    """Chunks of a streamed answer, as they arrive: iterate over it with `async for`.

    It owns the connection: closed at the end, by `aclose()`, by leaving its `async with` block, and when it is dropped
    half read. An error does not take back chunks that were handed out. The time limit runs while it is waited for data,
    not while the caller is busy.
    """

    def __init__(
        self, response: AsyncResponseStream | None, route: Route, ready: Iterable[ChatCompletionStreamOutput] = ()
    ):
        self._response = response
        self._ready = deque(ready)
        self._events = ChatEvents(route, response.url if response else route.url)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionStreamOutput:
        if not self._ready:
            await self._read()
        return self._ready.popleft()

    async def _read(self) -> None:
        """Wait until there is a chunk. Raises StopAsyncIteration at the end."""
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
