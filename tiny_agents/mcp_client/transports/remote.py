"""Remote servers: streamable HTTP, and the HTTP+SSE transport of 2024-11-05."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.connection.servers import (
    READ_TIMEOUT_S,
    HttpServer,
    SseServer,
)
from tiny_agents.mcp_client.connection.watch import (
    CODE_REFUSED,
    Refused,
    Watch,
)
from tiny_agents.mcp_client.transports.framing import MAX_NOISE_BYTES, WAITING_MESSAGES, Streams, read_message

if TYPE_CHECKING:  # importing it costs 0.7 s
    import httpx2
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCMessage

    from tiny_agents.mcp_client.host.host import Desk
    from tiny_agents.mcp_client.transports.http_client import WatchedClient


_SAYS_THE_ID = "Received session ID"


@asynccontextmanager
async def _http_client(server: HttpServer | SseServer, watch: Watch, desk: Desk) -> AsyncIterator[WatchedClient]:
    import httpx2

    from tiny_agents.inference.http.trust import direct_transport, trust_for
    from tiny_agents.mcp_client.oauth.login import Authorizer, Bearer
    from tiny_agents.mcp_client.transports.http_client import WatchedClient, is_notice

    client = WatchedClient(
        watch,
        server.url,
        headers=dict(server.headers),
        timeout=httpx2.Timeout(server.timeout_s, read=server.read_timeout_s or READ_TIMEOUT_S),
        transport=direct_transport(server.url),
        verify=trust_for(server.url),
        trust_env=not is_loopback(server.url),  # a proxy can't reach our own loopback
    )
    async with client:
        if server.auth.type == "none":
            yield client
            return
        authorizer = Authorizer(server.url, server.auth, desk, watch)
        client.auth = Bearer(server.url, authorizer, lambda request: not is_notice(request))
        try:
            yield client
        finally:
            await authorizer.close()


def _without_session_id(record: logging.LogRecord) -> bool:
    """The SDK logs the session's id, with which others could go on with it."""
    if str(record.msg).startswith(_SAYS_THE_ID):
        record.msg, record.args = _SAYS_THE_ID, ()
    return True


@asynccontextmanager
async def open_http(server: HttpServer, watch: Watch, desk: Desk) -> AsyncIterator[Streams]:
    from mcp.client.streamable_http import streamable_http_client

    from tiny_agents.mcp_client.transports.http_client import MAX_ANSWER_BYTES

    logging.getLogger("mcp.client.streamable_http").addFilter(_without_session_id)
    async with (
        _http_client(server, watch, desk) as http,
        streamable_http_client(
            http.url,
            http_client=http,
            terminate_on_close=server.terminate_on_close,
            max_sse_event_size=MAX_ANSWER_BYTES,
        ) as streams,
    ):
        yield streams


@asynccontextmanager
async def open_sse(server: SseServer, watch: Watch, desk: Desk) -> AsyncIterator[Streams]:
    """The HTTP+SSE transport of 2024-11-05: answers arrive on one long stream, messages are posted to where it says.

    Not the SDK's, which takes no event above 1 MiB, waits for ever where the stream names an endpoint on another host,
    and leaves a call waiting whose message could not be posted.
    """
    import anyio
    import httpx2

    from tiny_agents.mcp_client.transports.http_client import MAX_ANSWER_BYTES

    async with _http_client(server, watch, desk) as http:
        response = await http.open_events()
        source = httpx2.EventSource(response, max_event_size=MAX_ANSWER_BYTES)
        events = cast("AsyncGenerator[httpx2.ServerSentEvent, None]", aiter(source))  # so it is left in good order too
        try:
            endpoint = await _endpoint(events, response.url)
            arrived, read_stream = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
            write_stream, leaving = anyio.create_memory_object_stream["SessionMessage"](WAITING_MESSAGES)
            async with arrived, read_stream, write_stream, leaving, anyio.create_task_group() as tasks:
                tasks.start_soon(_read_events, events, watch, arrived)
                tasks.start_soon(_post_messages, http, endpoint, watch, leaving, arrived)
                yield read_stream, write_stream
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await events.aclose()
                await response.aclose()


async def _endpoint(events: AsyncIterator[httpx2.ServerSentEvent], base: httpx2.URL) -> str:
    """Where messages are to be posted: the first thing a server says. Only its own host is trusted."""
    import httpx2

    from tiny_agents.inference.http.tries import without_request
    from tiny_agents.mcp_client.transports.answers import origin

    try:
        async for event in events:
            if event.event == "endpoint":
                endpoint = base.join(event.data.strip())
                if origin(endpoint) != origin(base):
                    raise Refused(f"it wants its messages sent to another host, {origin(endpoint)}")
                return str(endpoint)
    except (httpx2.SSEError, httpx2.TransportError, httpx2.InvalidURL) as error:
        raise Refused(f"it sends no events: {error}") from without_request(error)
    raise Refused("it ended its stream of events at once")


async def _read_events(
    events: AsyncIterator[httpx2.ServerSentEvent],
    watch: Watch,
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    import anyio
    import httpx2
    from mcp.shared.message import SessionMessage

    how, noise = "closed the connection", 0
    async with arrived:
        try:
            async for event in events:
                if event.event == "message" and (message := read_message(event.data.encode(), watch)) is not None:
                    noise = 0
                    await arrived.send(SessionMessage(message))
                elif (noise := noise + len(event.data)) > MAX_NOISE_BYTES:
                    how = "floods its stream of events with what is no MCP"
                    break
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session has been left
        except (httpx2.SSEError, httpx2.TransportError) as error:
            how = f"broke the connection off ({str(error) or type(error).__name__})"
        watch.lose(how)


async def _post_messages(
    http: httpx2.AsyncClient,
    endpoint: str,
    watch: Watch,
    leaving: MemoryObjectReceiveStream[SessionMessage],
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Requests go out side by side, everything else in its turn: a session begins with a notification."""
    import anyio
    from mcp_types import JSONRPCRequest

    async with leaving, anyio.create_task_group() as requests:
        async for item in leaving:
            if isinstance(item.message, JSONRPCRequest):
                requests.start_soon(_post, http, endpoint, watch, item, arrived)
            else:
                await _post(http, endpoint, watch, item, arrived)


async def _post(
    http: httpx2.AsyncClient,
    endpoint: str,
    watch: Watch,
    item: SessionMessage,
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Send one message; a request that could not be delivered is answered with the reason."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCRequest

    content = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    response = await http.post(endpoint, content=content, headers={"content-type": "application/json"})
    if not isinstance(item.message, JSONRPCRequest):
        return
    if response.status_code >= 300:
        answer: JSONRPCMessage | None = _in_place_of(response, item.message.id)
    elif response.content.lstrip().startswith(b"{"):  # its answer; it belongs on the stream, and some send it here
        answer = read_message(response.content, watch)
    else:
        return
    if answer is not None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session has been left
            await arrived.send(SessionMessage(answer))


def _in_place_of(response: httpx2.Response, id: int | str) -> JSONRPCMessage:
    """The error in place of the answer to a request that could not be delivered."""
    from mcp_types import ErrorData, JSONRPCError

    if response.status_code < 400:
        error = {"code": CODE_REFUSED, "message": "the server redirects messages, which isn't followed"}
    else:
        error = response.json()["error"]
    return JSONRPCError(jsonrpc="2.0", id=id, error=ErrorData.model_validate(error))
