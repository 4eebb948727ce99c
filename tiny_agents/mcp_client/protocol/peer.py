"""`Peer`: requests and their answers, in both directions, over a link that carries messages."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from tiny_agents.mcp_client.protocol.messages import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    REQUEST_TIMEOUT,
    SUBSCRIPTION_ID,
    Closed,
    Id,
    Message,
    NotValid,
    RpcError,
    error,
    is_id,
    known_id,
    notice,
    request,
    result,
)
from tiny_agents.mcp_client.protocol.streams import Stream
from tiny_agents.mcp_client.protocol.tracing import traced

logger = logging.getLogger("tiny_agents.mcp_client")

LEAVE_S = 1.0
"""How long those may take altogether to be told that we leave who wait for an answer of ours."""

Params = dict[str, Any]
Report = Callable[[float, float | None, str | None], None]
"""Told how far a request is: done, of how much, in words."""

Answering = Callable[[str, Params], Awaitable[dict[str, Any]]]
"""Answers what a server asks, by its method; raises `RpcError` where it won't, `NotValid` where the question is none."""


class Link(Protocol):
    """The way to a server.

    Attributes:
        takes_headers: Whether what is sent goes along with HTTP headers.
    """

    takes_headers: bool

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        """Hand over what arrives from now on, and say when nothing more will."""

    async def send(self, message: Message, headers: Mapping[str, str] | None = None) -> None:
        """Send a message, and wait for as long as too many wait to leave. One that can't be delivered any more is dropped.

        Raises:
            TypeError, RecursionError: It can't be written as JSON.
        """

    async def tell(self, message: Message) -> None:
        """Send a last word, within a moment or not at all; also in a task that is being cancelled."""


class Traffic(Protocol):
    """Looks at all that goes back and forth."""

    def sent(self, message: Message) -> None: ...

    def arrived(self, message: Message) -> bool:
        """Mend a message in place; says whether it is to be passed on."""


class Peer:
    """One end of a conversation: asks, and is asked.

    Args:
        answer: Called for each request of the server's, in a task of its own that ends when the server takes it back.
        notice: Called with the method and the params of each notice, in their order.

    Attributes:
        streams: Subscriptions that are open, by the ids of their requests.
    """

    def __init__(self, link: Link, traffic: Traffic, answer: Answering, notice: Callable[[str, Params], None]) -> None:
        self.link = link
        self.streams: dict[Id, Stream] = {}
        self._traffic = traffic
        self._answer = answer
        self._notice = notice
        self._ids = itertools.count(1)
        self._waiting: dict[Id, asyncio.Future[Message | None]] = {}
        self._reports: dict[Id, Report] = {}
        self._answering: dict[Id, tuple[Id, asyncio.Task[None]]] = {}  # an id as it is known -> as it was given
        self._over = False

    def start(self) -> None:
        """Begin to listen."""
        self.link.listen(self._receive, self._end)

    async def close(self) -> None:
        """Answer nobody any more. Whoever still waits for an answer learns that none will come."""
        self._end()
        if not self._answering:
            return
        unanswered, tasks = zip(*self._answering.values(), strict=True)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                for id in unanswered:
                    await self.link.tell(error(id, INTERNAL_ERROR, "the client is leaving"))

    async def request(
        self,
        method: str,
        params: Params,
        meta: Params,
        *,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
        on_progress: Report | None = None,
        timeout_s: float | None = None,
        can_be_cancelled: bool = True,
    ) -> dict[str, Any]:
        """Ask, and wait for the result. Who is cancelled meanwhile tells the server.

        Args:
            meta: What the request says beside its params; more is added here.
            id: Of the request; a number if none is given.
            can_be_cancelled: Whether the protocol allows to tell the server that nobody waits any more.

        Raises:
            RpcError: The server's error, or `REQUEST_TIMEOUT`; `Closed` where no answer can come.
        """
        if self._over:
            raise Closed
        key: Id = next(self._ids) if id is None else id
        if on_progress is not None:
            meta = {**meta, "progressToken": key}
            self._reports[key] = on_progress
        answered = self._waiting[key] = asyncio.get_running_loop().create_future()
        try:
            with traced(method, params, key) as (context, failed):
                if context:
                    meta = {**meta, **context}
                message = request(key, method, {**params, "_meta": meta} if meta else params)
                answer = await self._answered(message, answered, headers, timeout_s, can_be_cancelled)
                if answer is None:
                    raise Closed
                if (said := answer.get("error")) is not None:
                    problem = RpcError(said["code"], said["message"], said.get("data"))
                    failed(problem)
                    raise problem
                found: dict[str, Any] = answer["result"]
                return found
        finally:
            self._waiting.pop(key, None)
            self._reports.pop(key, None)

    async def _answered(
        self,
        message: Message,
        answered: asyncio.Future[Message | None],
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
        can_be_cancelled: bool,
    ) -> Message | None:
        self._traffic.sent(message)
        try:
            if timeout_s is None:
                await self.link.send(message, headers)
                return await answered
            async with asyncio.timeout(timeout_s):
                await self.link.send(message, headers)
                return await answered
        except TimeoutError:
            raise RpcError(REQUEST_TIMEOUT, f"Request {message['method']!r} timed out") from None
        except asyncio.CancelledError:
            if can_be_cancelled and not self._over:
                taken_back = {"requestId": message["id"], "reason": "the client no longer waits for it"}
                await self.link.tell(notice("notifications/cancelled", taken_back))
            raise

    async def notify(self, method: str, params: Params, headers: Mapping[str, str] | None = None) -> None:
        """Say something that nobody answers."""
        if not self._over:
            await self.link.send(notice(method, params), headers)

    # ---- what arrives

    def _receive(self, message: Message) -> None:
        if not self._traffic.arrived(message):
            return
        method = message.get("method")
        if method is None:
            id = message["id"]
            if id is not None and (answered := self._waiting.get(known_id(id))) is not None and not answered.done():
                answered.set_result(message)
            return
        params = message.get("params") or {}
        if (id := message.get("id")) is not None:
            self._asked(id, method, params)
            return
        try:
            own = _OWN_NOTICES.get(method)
            if own is not None:
                own(self, params)
            elif not self._acknowledges(method, params):
                self._notice(method, params)
        except Exception as problem:  # noqa: BLE001 - a notice may say anything; it must not cost the connection
            logger.debug("a notice of a server could not be read (%s): %r", method, problem)

    def _end(self) -> None:
        """Nothing more arrives."""
        self._over = True
        for answered in self._waiting.values():
            if not answered.done():
                answered.set_result(None)

    def _asked(self, id: Id, method: str, params: Params) -> None:
        key = known_id(id)
        task = asyncio.create_task(self._reply(id, method, params), name=f"answering {method}"[:100])
        self._answering[key] = id, task
        task.add_done_callback(lambda done: self._replied(key, done))

    def _replied(self, key: Id, task: asyncio.Task[None]) -> None:
        if (found := self._answering.get(key)) is not None and found[1] is task:  # an id may have been used twice
            del self._answering[key]

    async def _reply(self, id: Id, method: str, params: Params) -> None:
        try:
            reply = result(id, await self._answer(method, params))
            await self.link.send(reply)
        except RpcError as refused:
            await self.link.send(reply := error(id, refused.code, refused.message, refused.data))
        except NotValid as problem:
            said = f"the request is not valid MCP: {problem}"
            await self.link.send(reply := error(id, INVALID_PARAMS, said))
        except Exception:
            logger.exception("a server's request could not be answered (%s)", method)
            await self.link.send(reply := error(id, INTERNAL_ERROR, "the client failed to answer"))
        self._traffic.sent(reply)

    def _taken_back(self, params: Params) -> None:
        """The server doesn't wait for an answer any more, or ends a stream."""
        if not is_id(id := params.get("requestId")):
            return
        if (found := self._answering.pop(known_id(id), None)) is not None:
            found[1].cancel()
        if (stream := self.streams.get(id)) is not None:
            stream.end(lost=True)

    def _progressed(self, params: Params) -> None:
        token = params.get("progressToken")
        report = self._reports.get(known_id(token)) if is_id(token) else None
        if report is not None:
            total, said = params.get("total"), params.get("message")
            report(
                float(params["progress"]),
                None if total is None else float(total),
                said if isinstance(said, str) else None,
            )

    def _acknowledges(self, method: str, params: Params) -> bool:
        """Whether a notice is the server's consent to one of our streams."""
        if method != "notifications/subscriptions/acknowledged":
            return False
        meta = params.get("_meta")
        id = meta.get(SUBSCRIPTION_ID) if isinstance(meta, dict) else None
        stream = self.streams.get(id) if isinstance(id, str) else None
        if stream is not None and isinstance(granted := params.get("notifications"), dict):
            stream.open(granted)
        return True


_OWN_NOTICES: dict[str, Callable[[Peer, Params], None]] = {
    "notifications/cancelled": Peer._taken_back,
    "notifications/progress": Peer._progressed,
}
