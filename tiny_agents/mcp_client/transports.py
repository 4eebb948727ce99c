"""A server's description -> a session with it. The only file that imports `mcp` (0.7 s), inside its functions.

Everything of the SDK's ends here: what leaves is `ServerTool`, `ToolResult`, `ConnectionLost` and `Refused`.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, cast

from tiny_agents.errors import redact
from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.host import (
    MAX_SAMPLING_TOKENS,
    Desk,
    FormRequest,
    Refusal,
    SamplingRequest,
    Service,
    UrlRequest,
)
from tiny_agents.mcp_client.process import MAX_LINE_BYTES, STRAGGLER_S, CutLine, LineSplitter, ServerProcess
from tiny_agents.mcp_client.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.sampling import chat_messages
from tiny_agents.mcp_client.servers import (
    READ_TIMEOUT_S,
    HttpServer,
    InProcessServer,
    Protocol,
    Server,
    SseServer,
    StdioServer,
)
from tiny_agents.mcp_client.text import encodable, encodable_json, readable
from tiny_agents.mcp_client.tools import ServerTool, read_tool
from tiny_agents.mcp_client.watch import (
    CODE_BROKEN,
    CODE_REFUSED,
    CODE_UNREACHABLE,
    ConnectionLost,
    Progress,
    Refused,
    Watch,
    exit_of,
)

if TYPE_CHECKING:  # importing it costs 0.7 s
    import httpx2
    import mcp
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage
    from mcp_types import ErrorData, JSONRPCMessage
    from pydantic import ValidationError

    from tiny_agents.mcp_client.http_client import WatchedClient

logger = logging.getLogger("tiny_agents.mcp_client")

USER_REFUSED = -1
"""JSON-RPC code that the protocol has for a request that the user refuses."""

LOG_LEVEL: Final = "info"
"""From which level on servers of 2026-07-28 send what they log; older ones decide by themselves."""

WAITING_MESSAGES = 1_000
NOISE_CHARS = 200

_SDK_CLOSED = "Connection closed"  # what the SDK says to calls that wait when its streams end
_SDK_BROKEN = "SSE stream"  # how it begins to say that one answer's stream broke off


class Session:
    """An open conversation with one server."""

    def __init__(self, client: mcp.Client, watch: Watch) -> None:
        self._client = client
        self._watch = watch

    async def list_tools(self, cursor: str | None) -> tuple[list[ServerTool], str | None]:
        """One page of tools, and the cursor of the next; a server without tools has one empty page.

        Raises:
            Refused: The server can't or won't list them, or its list is no valid MCP.
            ConnectionLost: It went away.
        """
        from mcp import MCPError
        from mcp_types import METHOD_NOT_FOUND
        from pydantic import ValidationError

        try:
            page = await self._client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                return [], None
            self._raise_if_lost(error)
            raise Refused(str(error)) from error
        except ValidationError as error:
            raise Refused(f"its list of tools is not valid MCP: {_first_problem(error)}") from error
        return [read_tool(tool.model_dump(mode="json", by_alias=True)) for tool in page.tools], page.next_cursor

    async def listen(self) -> bool:
        """Have `Watch.tools_changed` set whenever the tools change, as long as the server's stream of changes is open.

        It is set at the beginning too: nobody knows what was missed before.

        Returns: Whether a stream was there that has ended and can be opened again. Servers of before 2026-07-28 have none,
            their notices come unasked.
        """
        from mcp import MCPError
        from mcp.client.subscriptions import SubscriptionLost
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = self._client.server_capabilities.tools
        if self._client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return False
        try:
            async with self._client.listen(tools_list_changed=True) as changes:
                if not changes.honored.tools_list_changed:
                    return False
                self._watch.tools_changed.set()
                async for _ in changes:
                    self._watch.tools_changed.set()
        except SubscriptionLost as lost:
            logger.debug("a server's stream of changes broke off: %s", lost)
        except MCPError as error:
            logger.debug("a server has no stream of changes: %s", error)
            return error.code in (CODE_UNREACHABLE, CODE_BROKEN)
        return True

    async def call_tool(
        self, name: str, arguments: dict[str, Any], on_progress: Callable[[Progress], None]
    ) -> ToolResult:
        """Call a tool and wait for its answer, however long it takes; cancelling tells the server.

        Args:
            on_progress: Told what the server reports of the call while it runs.

        Raises:
            ConnectionLost: The server went away before it answered.
        """
        from mcp import MCPError
        from pydantic import ValidationError

        async def report(progress: float, total: float | None, message: str | None) -> None:
            on_progress(Progress(progress, total, encodable(message) if message else None))

        try:
            answer = await self._client.call_tool(name, arguments, progress_callback=report)
        except MCPError as error:
            self._raise_if_lost(error)
            return failure(str(error))
        except ValidationError as error:
            return failure(f"the server's answer is not valid MCP: {_first_problem(error)}")
        except Exception as error:  # noqa: BLE001 - a server's answer can make the SDK, or the schema it is checked against, fail in any way
            return failure(str(error) or type(error).__name__)
        return read_result(
            [block.model_dump(mode="json", by_alias=True) for block in answer.content],
            structured_content=answer.structured_content,
            is_error=bool(answer.is_error),
        )

    def _raise_if_lost(self, error: mcp.MCPError) -> None:
        """Tell the loss of the connection from an error that the server reports; it may use the same numbers."""
        from mcp_types import CONNECTION_CLOSED

        if error.code == CODE_UNREACHABLE:
            raise ConnectionLost(error.message, ran=False) from error
        if error.code == CODE_BROKEN:
            raise ConnectionLost(error.message, gone=False) from error
        if error.code == CONNECTION_CLOSED and error.message == _SDK_CLOSED:
            raise ConnectionLost(self._watch.how or "closed the connection") from error
        if error.code == CONNECTION_CLOSED and error.message.startswith(_SDK_BROKEN) and self._watch.process is None:
            raise ConnectionLost("broke its answer off", gone=False) from error


@asynccontextmanager
async def open_session(server: Server, watch: Watch, desk: Desk, protocol: Protocol = "auto") -> AsyncIterator[Session]:
    """Connect, agree on a protocol version, and stay connected while the block is open. Enter and leave in one task.

    Args:
        desk: Where what the server asks of us is answered.
        protocol: "legacy" shakes hands as before 2026-07-28, "2026-07-28" speaks that version unasked; "auto" finds out.

    Raises:
        Exception: Whatever the transport or the SDK raises; `startup.explain` puts it into words.
    """
    import mcp
    from mcp_types import Implementation, LoggingMessageNotificationParams, ToolListChangedNotification

    async def notice(message: object) -> None:
        if isinstance(message, ToolListChangedNotification):
            watch.tools_changed.set()

    async def log(params: LoggingMessageNotificationParams) -> None:
        desk.logged(params.level, params.logger, encodable_json(params.data))

    # The SDK logs what it survives, with tracebacks. Without a handler Python would print that on the user's screen;
    # whoever configures logging gets all of it.
    for name in ("mcp", "client"):
        sdk_logger = logging.getLogger(name)
        if not sdk_logger.handlers:
            sdk_logger.addHandler(logging.NullHandler())
    ourselves = Implementation(name="tiny-agents", version=importlib.metadata.version("tiny-agents"))
    transport = _OPENERS[type(server)](server, watch)
    callbacks: dict[str, Any] = {_CALLBACKS[service][0]: _CALLBACKS[service][1](desk, watch) for service in desk.serves}
    async with mcp.Client(
        transport,
        client_info=ourselves,
        mode=protocol,
        cache=None,
        message_handler=notice,
        logging_callback=log,
        log_level=LOG_LEVEL,
        **callbacks,
    ) as client:
        yield Session(client, watch)


# ---------------------------------------------------------------- what a server asks of us


def _on_elicitation(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def elicit(_: object, params: types.ElicitRequestParams) -> types.ElicitResult | types.ErrorData:
        message = readable(params.message)
        request: FormRequest | UrlRequest
        if isinstance(params, types.ElicitRequestURLParams):
            request = UrlRequest(desk.server, message, params.url)
        else:
            request = FormRequest(desk.server, message, params.requested_schema)
        try:
            with watch.paused():
                reply = await desk.elicit(request)
        except Refusal as refusal:
            return _refused(refusal)
        content = None if reply.content is None else dict(reply.content)
        return types.ElicitResult(action=reply.action, content=content)

    return elicit


def _on_sampling(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def sample(
        _: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.ErrorData:
        wanted = params.model_dump(mode="json", by_alias=True, exclude_none=True)
        hints = (wanted.get("modelPreferences") or {}).get("hints") or []
        try:
            request = SamplingRequest(
                desk.server,
                chat_messages(params.system_prompt, wanted["messages"]),
                max(1, min(params.max_tokens, MAX_SAMPLING_TOKENS)),
                params.temperature,
                params.stop_sequences,
                tuple(hint["name"] for hint in hints if hint.get("name")),
            )
            with watch.paused():
                reply = await desk.answer(request)
        except Refusal as refusal:
            return _refused(refusal)
        content = types.TextContent(type="text", text=reply.text)
        stop_reason = "maxTokens" if reply.cut else "endTurn"
        return types.CreateMessageResult(role="assistant", content=content, model=reply.model, stop_reason=stop_reason)

    return sample


def _on_roots(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def roots(_: object) -> types.ListRootsResult | types.ErrorData:
        try:
            with watch.paused():
                folders = await desk.roots()
        except Refusal as refusal:
            return _refused(refusal)
        absolute = [folder.absolute() for folder in folders]
        return types.ListRootsResult.model_validate(
            {"roots": [{"uri": folder.as_uri(), "name": folder.name or str(folder)} for folder in absolute]}
        )

    return roots


_CALLBACKS: dict[Service, tuple[str, Callable[[Desk, Watch], Callable[..., Any]]]] = {
    "elicitation": ("elicitation_callback", _on_elicitation),
    "sampling": ("sampling_callback", _on_sampling),
    "roots": ("list_roots_callback", _on_roots),
}


def _refused(refusal: Refusal) -> ErrorData:
    from mcp_types import ErrorData

    return ErrorData(code=USER_REFUSED, message=str(refusal))


# ---------------------------------------------------------------- stdio

Streams = tuple[Any, Any]
"""What the SDK takes for a transport: a stream of messages to read from, one to write to."""


@asynccontextmanager
async def _stdio(server: StdioServer, watch: Watch) -> AsyncIterator[Streams]:
    import anyio
    from mcp.client.stdio import get_default_environment

    env = {**get_default_environment(), **server.env}
    process = watch.process = await ServerProcess.start(server.command, server.args, env=env, cwd=server.cwd)
    try:
        arrived, read_stream = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
        # Room for what a server doesn't read: a call that is cancelled sends word of it, and must not wait for that.
        write_stream, leaving = anyio.create_memory_object_stream["SessionMessage"](WAITING_MESSAGES)
        async with arrived, read_stream, write_stream, leaving, anyio.create_task_group() as tasks:
            tasks.start_soon(_read_messages, process, watch, arrived)
            tasks.start_soon(_write_messages, process, watch, leaving)
            yield read_stream, write_stream
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await process.stop(watch.grace_s)


async def _read_messages(
    process: ServerProcess, watch: Watch, arrived: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    import anyio
    from mcp.shared.message import SessionMessage

    lines = LineSplitter()
    async with arrived:
        try:
            while data := await process.read():
                for line in lines.feed(data):
                    if (message := _message(line, watch)) is not None:
                        await arrived.send(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session has been left
        with anyio.move_on_after(STRAGGLER_S):  # the end of the output comes a moment before the exit status
            await process.exited.wait()
        watch.lose(exit_of(process))


async def _write_messages(
    process: ServerProcess, watch: Watch, leaving: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    async with leaving:
        try:
            async for item in leaving:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.write(text.encode() + b"\n")
        except BrokenPipeError:
            watch.lose("stopped reading its standard input")


def _message(line: bytes | CutLine, watch: Watch) -> JSONRPCMessage | None:
    """The message on a line of standard output; None for an empty line, and for one that holds no message."""
    from mcp_types import jsonrpc_message_adapter

    if isinstance(line, CutLine):
        return _too_long(line)
    try:
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValueError:
        if not line.strip():
            return None
    try:
        # Bytes that are no UTF-8 and lone surrogates cost those characters, not the answer that contains them.
        return jsonrpc_message_adapter.validate_python(
            encodable_json(json.loads(line.decode("utf-8-sig", "replace"))), by_name=False
        )
    except (ValueError, RecursionError):
        shown = readable(line[: 4 * NOISE_CHARS].decode("utf-8", "replace")).strip()[:NOISE_CHARS]
        watch.noise = watch.noise or shown
        logger.debug("a server wrote to its standard output what is no MCP message: %s", redact(shown))
        return None


# Where in an answer its id stands, if it is at one of the ends: servers write it before the result or after it.
_ID_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(\d+)\s*,')
_ID_LAST = re.compile(rb'"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(\d+)\s*\}\s*$')


def _too_long(line: CutLine) -> JSONRPCMessage | None:
    """An error in place of an answer that was too long to keep, so that its call doesn't wait for it."""
    from mcp_types import INTERNAL_ERROR, ErrorData, JSONRPCError

    problem = f"the answer is too long: {line.size:,} bytes, and at most {MAX_LINE_BYTES:,} are read"
    found = _ID_FIRST.match(line.head) or _ID_LAST.search(line.tail)
    if found is None:
        logger.warning("a message of a server was dropped; %s", problem)
        return None
    return JSONRPCError(jsonrpc="2.0", id=int(found[1]), error=ErrorData(code=INTERNAL_ERROR, message=problem))


# ---------------------------------------------------------------- remote servers


def _http_client(server: HttpServer | SseServer, watch: Watch) -> WatchedClient:
    import httpx2

    from tiny_agents.mcp_client.http_client import WatchedClient

    return WatchedClient(
        watch,
        headers=dict(server.headers),
        timeout=httpx2.Timeout(server.timeout_s, read=server.read_timeout_s or READ_TIMEOUT_S),
        trust_env=not is_loopback(server.url),  # a proxy can't reach our own loopback
    )


@asynccontextmanager
async def _http(server: HttpServer, watch: Watch) -> AsyncIterator[Streams]:
    from mcp.client.streamable_http import streamable_http_client

    from tiny_agents.mcp_client.http_client import MAX_ANSWER_BYTES

    async with (
        _http_client(server, watch) as http,
        streamable_http_client(
            server.url,
            http_client=http,
            terminate_on_close=server.terminate_on_close,
            max_sse_event_size=MAX_ANSWER_BYTES,
        ) as streams,
    ):
        yield streams


@asynccontextmanager
async def _sse(server: SseServer, watch: Watch) -> AsyncIterator[Streams]:
    """The HTTP+SSE transport of 2024-11-05: answers arrive on one long stream, messages are posted to where it says.

    Not the SDK's, which takes no event above 1 MiB, waits for ever where the stream names an endpoint on another host,
    and leaves a call waiting whose message could not be posted.
    """
    import anyio
    import httpx2

    from tiny_agents.mcp_client.http_client import MAX_ANSWER_BYTES

    async with _http_client(server, watch) as http:
        response = await http.open_events(server.url)
        source = httpx2.EventSource(response, max_event_size=MAX_ANSWER_BYTES)
        events = cast("AsyncGenerator[httpx2.ServerSentEvent, None]", aiter(source))  # so it is left in good order too
        try:
            endpoint = await _endpoint(events, response.url)
            arrived, read_stream = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
            write_stream, leaving = anyio.create_memory_object_stream["SessionMessage"](WAITING_MESSAGES)
            async with arrived, read_stream, write_stream, leaving, anyio.create_task_group() as tasks:
                tasks.start_soon(_read_events, events, watch, arrived)
                tasks.start_soon(_post_messages, http, endpoint, leaving, arrived)
                yield read_stream, write_stream
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await events.aclose()
                await response.aclose()


async def _endpoint(events: AsyncIterator[httpx2.ServerSentEvent], base: httpx2.URL) -> str:
    """Where messages are to be posted: the first thing a server says. Only its own host is trusted."""
    import httpx2

    from tiny_agents.mcp_client.http_client import origin

    try:
        async for event in events:
            if event.event == "endpoint":
                endpoint = base.join(event.data.strip())
                if origin(endpoint) != origin(base):
                    raise Refused(f"it wants its messages sent to another host, {origin(endpoint)}")
                return str(endpoint)
    except (httpx2.SSEError, httpx2.TransportError, httpx2.InvalidURL) as error:
        raise Refused(f"it sends no events: {error}") from error
    raise Refused("it ended its stream of events at once")


async def _read_events(
    events: AsyncIterator[httpx2.ServerSentEvent],
    watch: Watch,
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    import anyio
    import httpx2
    from mcp.shared.message import SessionMessage

    how = "closed the connection"
    async with arrived:
        try:
            async for event in events:
                if event.event == "message" and (message := _message(event.data.encode(), watch)) is not None:
                    await arrived.send(SessionMessage(message))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session has been left
        except (httpx2.SSEError, httpx2.TransportError) as error:
            how = f"broke the connection off ({str(error) or type(error).__name__})"
        watch.lose(how)


async def _post_messages(
    http: httpx2.AsyncClient,
    endpoint: str,
    leaving: MemoryObjectReceiveStream[SessionMessage],
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Requests go out side by side, everything else in its turn: a session begins with a notification."""
    import anyio
    from mcp_types import JSONRPCRequest

    async with leaving, anyio.create_task_group() as requests:
        async for item in leaving:
            if isinstance(item.message, JSONRPCRequest):
                requests.start_soon(_post, http, endpoint, item, arrived)
            else:
                await _post(http, endpoint, item, arrived)


async def _post(
    http: httpx2.AsyncClient,
    endpoint: str,
    item: SessionMessage,
    arrived: MemoryObjectSendStream[SessionMessage | Exception],
) -> None:
    """Send one message; a request that could not be delivered is answered with the reason."""
    import anyio
    from mcp.shared.message import SessionMessage
    from mcp_types import ErrorData, JSONRPCError, JSONRPCRequest

    content = item.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
    response = await http.post(endpoint, content=content, headers={"content-type": "application/json"})
    if response.status_code < 300 or not isinstance(item.message, JSONRPCRequest):
        return
    if response.status_code < 400:
        error = {"code": CODE_REFUSED, "message": "the server redirects messages, which isn't followed"}
    else:
        error = response.json()["error"]
    answer = JSONRPCError(jsonrpc="2.0", id=item.message.id, error=ErrorData.model_validate(error))
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the session has been left
        await arrived.send(SessionMessage(answer))


def _in_process(server: InProcessServer, _: Watch) -> Any:
    return server.server  # the SDK talks to the object itself


_OPENERS: dict[type[Server], Callable[[Any, Watch], Any]] = {
    StdioServer: _stdio,
    HttpServer: _http,
    SseServer: _sse,
    InProcessServer: _in_process,
}


def _first_problem(error: ValidationError) -> str:
    """What a validation found first, on one line, without the value (it may be anything)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in problem["loc"] if not str(step).startswith("function-"))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
