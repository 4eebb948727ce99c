"""The HTTP+SSE transport of 2024-11-05: answers arrive on one long stream, messages are posted to where it says."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from tiny_agents.errors import InvalidResponseError
from tiny_agents.mcp_client.connection.watch import Refused, Watch
from tiny_agents.mcp_client.protocol.messages import Message, RpcError, encode, error
from tiny_agents.mcp_client.transports.events import Event, EventReader
from tiny_agents.mcp_client.transports.framing import MAX_NOISE_BYTES, WAITING_MESSAGES, read_message
from tiny_agents.mcp_client.transports.remote import remote_client

if TYPE_CHECKING:  # a remote server is opened last of all
    from tiny_agents.inference.http.senders import Reply
    from tiny_agents.mcp_client.connection.servers import SseServer
    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.transports.http_client import RemoteClient

logger = logging.getLogger("tiny_agents.mcp_client")

_HEADERS = {"content-type": "application/json"}


@asynccontextmanager
async def open_sse(server: SseServer, watch: Watch, desk: Desk) -> AsyncIterator[SseLink]:
    """A server whose stream of events is open.

    Not the SDK's, which takes no event above 1 MiB, waits for ever where the stream names an endpoint on another host,
    and leaves a call waiting whose message could not be posted.
    """
    async with remote_client(server, watch, desk) as http:
        reply = await http.open_events(first=True)
        try:
            async with aclosing(_events(reply)) as events:
                link = SseLink(http, await _endpoint(events, reply), events, watch)
                try:
                    yield link
                finally:
                    await link.close()
        finally:
            await reply.aclose()


async def _events(reply: Reply) -> AsyncGenerator[bytes, None]:
    """What a server says, as `EventReader` has it. Raises httpx2's errors, and InvalidResponseError."""
    from tiny_agents.mcp_client.transports.http_client import MAX_ANSWER_BYTES

    reader = EventReader(MAX_ANSWER_BYTES)
    async for data in reply.data:
        for event in reader.feed(data):
            yield event


async def _endpoint(events: AsyncIterator[bytes], reply: Reply) -> str:
    """Where messages are to be posted: the first thing a server says. Only its own host is trusted."""
    import httpx2

    from tiny_agents.inference.http.tries import without_request
    from tiny_agents.mcp_client.transports.answers import origin
    from tiny_agents.mcp_client.transports.http_client import kind_of

    kind = kind_of(reply).partition(";")[0].strip()
    if kind != "text/event-stream":
        raise Refused(f"it sends no events: Expected response with content type 'text/event-stream', got {kind!r}.")
    base = httpx2.URL(reply.request.url)  # of the answer: a redirect may have led there
    try:
        async for event in events:
            if isinstance(event, Event) and event.name == b"endpoint":
                endpoint = base.join(event.decode("utf-8", "replace").strip())
                if origin(endpoint) != origin(base):
                    raise Refused(f"it wants its messages sent to another host, {origin(endpoint)}")
                return str(endpoint)
    except (httpx2.RequestError, httpx2.InvalidURL, InvalidResponseError) as error:
        raise Refused(f"it sends no events: {error}") from without_request(error)
    raise Refused("it ended its stream of events at once")


class SseLink:
    """Events from a server, messages posted to it: requests side by side, everything else in its turn."""

    takes_headers = False

    def __init__(self, http: RemoteClient, endpoint: str, events: AsyncIterator[bytes], watch: Watch) -> None:
        self._http = http
        self._endpoint = endpoint
        self._events = events
        self._watch = watch
        self._leaving: asyncio.Queue[Message] = asyncio.Queue(WAITING_MESSAGES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._receive: Callable[[Message], None] = lambda _: None

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._receive = receive
        self._begin(self._read(ended))
        self._begin(self._post_each())

    async def send(self, message: Message, headers: Mapping[str, str] | None = None) -> None:
        encode(message)  # what can't be written is said here, to whom it concerns
        await self._leaving.put(message)

    async def tell(self, message: Message) -> None:
        if not self._leaving.full():
            self._leaving.put_nowait(message)

    async def close(self) -> None:
        for task in (tasks := set(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="MCP events")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("what an MCP server sends could not be read", exc_info=problem)
            self._watch.lose(f"could not be read ({type(problem).__name__})")

    async def _read(self, ended: Callable[[], None]) -> None:
        import httpx2

        how, noise = "closed the connection", 0
        try:
            async for event in self._events:
                is_message = not isinstance(event, Event) or event.name == Event.name
                message = read_message(event, self._watch) if is_message else None
                if message is not None:
                    noise = 0
                    self._receive(message)
                elif (noise := noise + len(event)) > MAX_NOISE_BYTES:
                    how = "floods its stream of events with what is no MCP"
                    break
                await asyncio.sleep(0)  # others' turn: a server may send faster than this is read
            self._watch.lose(how)
        except (httpx2.RequestError, InvalidResponseError) as problem:
            self._watch.lose(f"broke the connection off ({str(problem) or type(problem).__name__})")
        finally:
            ended()

    async def _post_each(self) -> None:
        while True:
            message = await self._leaving.get()
            if "method" in message and "id" in message:
                self._begin(self._post_request(message))
            else:
                await self._post(message)

    async def _post(self, message: Message) -> None:
        """Send what has no answer; that it could not be delivered is the server's loss."""
        from tiny_agents.mcp_client.transports.answers import finish

        hurried = "method" in message
        try:
            reply = await self._http.deliver(encode(message), _HEADERS, url=self._endpoint, hurried=hurried)
        except RpcError as problem:
            logger.debug("a server did not take a message: %s", problem)
        else:
            await finish(reply)

    async def _post_request(self, message: Message) -> None:
        """Send a request; one that could not be delivered is answered with the reason."""
        from tiny_agents.mcp_client.transports.http_client import read_body

        try:
            body = await read_body(self._http, await self._http.deliver(encode(message), _HEADERS, url=self._endpoint))
        except RpcError as problem:
            self._receive(error(message["id"], problem.code, problem.message, problem.data))
            return
        if not body.lstrip().startswith(b"{"):
            return
        answer = read_message(body, self._watch)  # it belongs on the stream, and some send it here
        if answer is not None:
            self._receive(answer)
