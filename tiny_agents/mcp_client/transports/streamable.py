"""Streamable HTTP: each message is posted, and its answer is the body, or comes on a stream of events.

Sources: the transports of MCP 2025-03-26 to 2025-11-25 (sessions, a stream of what a server says unasked, streams that are
resumed) and of 2026-07-28, which has none of these: there, closing an answer's stream takes the request back. Imported only
when such a server is opened.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import httpx2

from tiny_agents.errors import InvalidResponseError
from tiny_agents.mcp_client.connection.watch import CODE_CUT_OFF, CODE_REFUSED, Refused, Watch
from tiny_agents.mcp_client.protocol.headers import VERSION
from tiny_agents.mcp_client.protocol.messages import (
    INVALID_REQUEST,
    MODERN,
    Closed,
    Id,
    Message,
    RpcError,
    encode,
    error,
    known_id,
)
from tiny_agents.mcp_client.transports.answers import finish
from tiny_agents.mcp_client.transports.events import Event, EventReader
from tiny_agents.mcp_client.transports.framing import MAX_NOISE_BYTES, WAITING_MESSAGES, read_message
from tiny_agents.mcp_client.transports.http_client import (
    MAX_ANSWER_BYTES,
    RemoteClient,
    checked,
    is_events,
    kind_of,
    read_body,
)
from tiny_agents.mcp_client.transports.remote import remote_client

if TYPE_CHECKING:
    from tiny_agents.inference.http.senders import Reply
    from tiny_agents.mcp_client.connection.servers import HttpServer
    from tiny_agents.mcp_client.host.host import Desk

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_TRIES = 2
"""How often a stream is asked for again that can't be opened."""

RETRY_S = 1.0
"""How long to wait before that, unless the server says how long."""

LISTEN_S = 0.5
"""How long the server's own stream of messages is waited for at the beginning of a session."""

LAST_WORDS_S = 1.0

SESSION = "mcp-session-id"
_TAKEN_BACK = "notifications/cancelled"
_BASIC = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@asynccontextmanager
async def open_streamable(server: HttpServer, watch: Watch, desk: Desk) -> AsyncIterator[StreamableLink]:
    async with remote_client(server, watch, desk) as http:
        link = StreamableLink(http, watch, terminates=server.terminate_on_close)
        try:
            yield link
        finally:
            await link.close()


class StreamableLink:
    """A server behind one URL. A request is posted, and its answer read, by whoever asks; notices go one after the other.

    Args:
        terminates: Whether the server is told when its session is over.
    """

    takes_headers = True

    def __init__(self, http: RemoteClient, watch: Watch, *, terminates: bool = True) -> None:
        self._http = http
        self._watch = watch
        self._terminates = terminates
        self._session = ""
        self._version = ""
        self._turn = asyncio.Lock()  # of notices
        self._asked: dict[Id, asyncio.Timeout] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._words: set[asyncio.Task[None]] = set()
        self._heard = asyncio.Event()  # whether the server has a stream of its own is known
        self._over = False
        self._receive: Callable[[Message], None] = lambda _: None

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._receive = receive  # nothing tells that a server has gone but the next message to it

    def send(self, message: Message, headers: Mapping[str, str] | None = None) -> Coroutine[Any, Any, None]:
        content, sent = encode(message), self._headers(message, headers)
        if "id" in message and "method" in message:
            return self._ask(message["id"], message["method"], content, sent)
        return self._send_unasked(message, content, sent)

    async def tell(self, message: Message) -> None:
        if self._over:
            return
        if message.get("method") == _TAKEN_BACK and self._version in MODERN:
            return  # the end of its stream says so
        if len(self._words) < WAITING_MESSAGES:
            self._begin(self._say(message, encode(message), self._headers(message, None)), self._words)

    async def close(self) -> None:
        """End what is under way, and the session."""
        self._over = True
        for asked in self._asked.values():
            asked.reschedule(asyncio.get_running_loop().time())
        try:
            if self._words:
                await asyncio.wait(self._words, timeout=LAST_WORDS_S)
        finally:
            for task in (tasks := self._words | self._tasks):
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
        if self._session and self._terminates:
            try:
                await self._http.end_session(self._headers({}, None))
            except RpcError as problem:
                logger.debug("a server was not told that its session is over: %s", problem)

    # ---- what is sent

    def _headers(self, message: Message, more: Mapping[str, str] | None) -> dict[str, str]:
        """Those of a message; what has none of its own (an answer of ours) says the version of the one before."""
        if message.get("method") == "initialize":
            self._version = ""  # a question before it was asked in another
        elif more is not None and VERSION in more:
            self._version = more[VERSION]
        headers = dict(_BASIC)
        if self._session:
            headers[SESSION] = self._session
        if self._version:
            headers[VERSION] = self._version
        if more:
            headers.update(more)
        return headers

    async def _say(self, message: Message, content: bytes, headers: dict[str, str]) -> None:
        """A notice, or a last word: not before those that came before it have arrived."""
        begins = message.get("method") == "notifications/initialized" and self._session
        if begins:
            self._begin(self._hear(), self._tasks)  # over another connection, which is made meanwhile
        async with self._turn:
            await self._post_quietly(content, headers, hurried=True)
        if begins:  # what the server asks before its own stream is open would be lost
            with suppress(TimeoutError):
                async with asyncio.timeout(LISTEN_S):
                    await self._heard.wait()

    async def _send_unasked(self, message: Message, content: bytes, headers: dict[str, str]) -> None:
        """What has no answer: a notice, or an answer of ours."""
        if self._over:
            return
        if "method" in message:
            await self._say(message, content, headers)
        else:
            await self._post_quietly(content, headers, hurried=False)

    async def _post_quietly(self, content: bytes, headers: dict[str, str], *, hurried: bool) -> None:
        """Post what has no answer; that it could not be delivered is the server's loss."""
        try:
            reply = await self._http.deliver(content, headers, hurried=hurried)
        except RpcError as problem:
            logger.debug("a server did not take a message: %s", problem)
        else:
            await finish(reply)

    async def _ask(self, id: Id, method: str, content: bytes, headers: dict[str, str]) -> None:
        """A request, after the notices before it; there is an answer in any case, unless it is over."""
        if self._turn.locked():
            async with self._turn:
                pass
        if self._over:
            raise Closed
        asked = self._asked[id] = asyncio.timeout(None)
        try:
            async with asked:
                try:
                    answer = await self._answer(id, method, content, headers)
                except RpcError as problem:
                    answer = error(id, problem.code, problem.message, problem.data)
                self._receive(answer)
        except TimeoutError:
            if not asked.expired():
                raise
        finally:
            self._asked.pop(id, None)

    async def _answer(self, id: Id, method: str, content: bytes, headers: dict[str, str]) -> Message:
        reply = await self._http.deliver(content, headers)
        if method == "initialize":
            await self._take_session(reply)
        if is_events(reply):
            return await self._streamed(id, reply)
        kind = kind_of(reply)
        if reply.status in (202, 204):
            problem = f"the server answered a request with HTTP {reply.status}, which says that no answer comes"
        elif not kind.startswith(("application/json", "text/plain")) and kind:
            problem = f"the server answered with {kind[:100]}, which is no MCP"
        else:
            message = checked(await read_body(self._http, reply), self._watch)
            if "method" not in message:
                message["id"] = id  # whatever its server wrote there
                return message
            self._receive(message)
            problem = "the server's answer is not valid MCP: it is a message of another kind"
        await reply.aclose()
        raise RpcError(INVALID_REQUEST, problem)

    async def _take_session(self, reply: Reply) -> None:
        session = reply.headers.get(SESSION, "")
        if not (session.isascii() and session.isprintable()):
            await reply.aclose()
            raise RpcError(CODE_REFUSED, "its session id can't be sent back: it isn't printable ASCII")
        self._session = session

    # ---- streams of events

    async def _streamed(self, id: Id, reply: Reply) -> Message:
        """The answer from a stream of events, which is asked for again where it broke off and its server remembers it."""
        stream = _Stream()
        stream.begin(reply)
        while True:
            answer = await self._read(stream, id)
            if answer is not None:
                return answer
            if self._version in MODERN or not await self._resumed(stream):
                raise RpcError(CODE_CUT_OFF, "broke its answer off")

    async def _read(self, stream: _Stream, id: Id) -> Message | None:
        """The answer on a stream, and what comes before it; None if it ends first."""
        answered = False
        try:
            while (data := await stream.next()) is not None:
                message = checked(data, self._watch)
                if "method" not in message:
                    message["id"] = id
                    answered = True
                    return message
                self._receive(message)
                await asyncio.sleep(0)  # others' turn: a server may send faster than this is read
            return None
        finally:
            if answered:
                self._begin(stream.finish(), self._tasks)  # nobody waits for that
            else:
                await stream.aclose()

    async def _resumed(self, stream: _Stream) -> bool:
        """Go on with a stream that ended; False if it can't be."""
        for _ in range(MAX_TRIES if stream.last_id else 0):
            await asyncio.sleep(RETRY_S if stream.retry_s is None else stream.retry_s)
            if await self._open(stream) is None:
                return True
        return False

    async def _open(self, stream: _Stream) -> int | None:
        """Open a stream, or the rest of one; if that can't be, the status that says so, 0 where nobody answers."""
        own = {name: value for name, value in self._headers({}, None).items() if name not in _BASIC}
        resumed = {"last-event-id": stream.last_id.decode("utf-8", "replace")} if stream.last_id else {}
        try:
            reply = await self._http.open_events({**own, **resumed})
        except Refused as refusal:
            logger.debug("a server's stream of events could not be opened: %s", refusal)
            return refusal.code or 0
        if not is_events(reply):
            await reply.aclose()
            return reply.status
        stream.begin(reply)
        return None

    async def _hear(self) -> None:
        """What a server says unasked, for as long as it has a stream for that."""
        stream = _Stream()
        tries = 0
        while tries < MAX_TRIES:
            status = await self._open(stream)
            self._heard.set()
            if status is None:
                tries = 0
                try:
                    await self._read_unasked(stream)
                finally:
                    await stream.aclose()
            elif 0 < status < 500:
                return  # it has none
            else:
                tries += 1
            await asyncio.sleep(RETRY_S if stream.retry_s is None else stream.retry_s)

    async def _read_unasked(self, stream: _Stream) -> None:
        noise = 0
        while (data := await stream.next()) is not None:
            message = read_message(data, self._watch)
            if message is not None:
                noise = 0
                self._receive(message)
                if "method" not in message and (asked := self._asked.get(known_id(message["id"]))) is not None:
                    asked.reschedule(asyncio.get_running_loop().time())  # answered here, and nowhere else
            elif (noise := noise + len(data)) > MAX_NOISE_BYTES:
                return
            await asyncio.sleep(0)

    def _begin(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = asyncio.create_task(work, name="MCP over HTTP")
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(_seen)


def _seen(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (problem := task.exception()) is not None:
        logger.error("what an MCP server sends could not be read", exc_info=problem)


class _Stream:
    """The events of one answer, in one reply after the other where it is resumed.

    Attributes:
        last_id, retry_s: Of the last event that had one.
    """

    _reply: Reply
    _events: Iterator[bytes]

    def __init__(self) -> None:
        self.last_id = b""
        self.retry_s: float | None = None

    def begin(self, reply: Reply) -> None:
        self._reply = reply
        self._reader = EventReader(MAX_ANSWER_BYTES)
        self._events = iter(())

    async def next(self) -> bytes | None:
        """What the next event holds; None at the end, also where that comes too early.

        Raises:
            RpcError: An event is too large.
        """
        while True:
            for data in self._events:
                if isinstance(data, Event):
                    self.last_id = data.id or self.last_id
                    self.retry_s = self.retry_s if data.retry_s is None else data.retry_s
                    if data.name != Event.name:
                        continue
                if data:
                    return data
            try:
                self._events = iter(self._reader.feed(await anext(self._reply.data)))
            except StopAsyncIteration:
                return None
            except httpx2.RequestError as problem:
                logger.debug("a server's stream of events broke: %r", problem)
                return None
            except InvalidResponseError as problem:
                raise RpcError(CODE_CUT_OFF, "broke its answer off") from problem

    async def finish(self) -> None:
        """Close it after its end, if that comes in a moment."""
        await finish(self._reply)

    async def aclose(self) -> None:
        await self._reply.aclose()
