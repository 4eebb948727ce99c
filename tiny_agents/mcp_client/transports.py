"""A server's description -> a session with it. The only file that imports `mcp` (0.7 s), inside its functions.

Everything of the SDK's ends here: what leaves is `ServerTool`, `ToolResult`, `ConnectionLost` and `Refused`.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Self

from tiny_agents.mcp_client.process import MAX_LINE_BYTES, STRAGGLER_S, CutLine, LineSplitter, ServerProcess
from tiny_agents.mcp_client.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.servers import READ_TIMEOUT_S, HttpServer, Server, SseServer, StdioServer
from tiny_agents.mcp_client.text import encodable_json, readable
from tiny_agents.mcp_client.tools import ServerTool, read_tool
from tiny_agents.mcp_client.watch import CODE_BROKEN, CODE_UNREACHABLE, ConnectionLost, Watch, exit_of

if TYPE_CHECKING:  # importing it costs 0.7 s
    import mcp
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage
    from mcp_types import JSONRPCMessage
    from pydantic import ValidationError

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_EVENT_BYTES = 64 * 1024 * 1024
"""Largest event of a streamed HTTP answer; as much as a line of a stdio server."""

WAITING_MESSAGES = 1_000
NOISE_CHARS = 200

_SDK_CLOSED = "Connection closed"  # what the SDK says to calls that wait when its streams end
_SDK_BROKEN = "SSE stream"  # how it begins to say that one answer's stream broke off


class Refused(Exception):
    """The server answered a request of ours with an error. Stays inside the package."""


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

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> ToolResult:
        """Call a tool and wait for its answer, however long it takes; cancelling tells the server.

        Raises:
            ConnectionLost: The server went away before it answered.
        """
        from mcp import MCPError
        from pydantic import ValidationError

        try:
            answer = await self._client.call_tool(name, arguments)
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
async def open_session(server: Server, watch: Watch) -> AsyncIterator[Session]:
    """Connect, agree on a protocol version, and stay connected while the block is open. Enter and leave in one task.

    Raises:
        Exception: Whatever the transport or the SDK raises; `startup.explain` puts it into words.
    """
    import mcp
    from mcp_types import Implementation

    # The SDK logs what it survives, with tracebacks. Without a handler Python would print that on the user's screen;
    # whoever configures logging gets all of it.
    for name in ("mcp", "client"):
        sdk_logger = logging.getLogger(name)
        if not sdk_logger.handlers:
            sdk_logger.addHandler(logging.NullHandler())
    ourselves = Implementation(name="tiny-agents", version=importlib.metadata.version("tiny-agents"))
    async with mcp.Client(_OPENERS[type(server)](server, watch), client_info=ourselves, cache=None) as client:
        yield Session(client, watch)


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
        logger.debug("a server wrote to its standard output what is no MCP message: %s", shown)
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


@asynccontextmanager
async def _http(server: HttpServer, watch: Watch) -> AsyncIterator[Streams]:
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    from tiny_agents.mcp_client.http_client import WatchedClient

    timeout = httpx2.Timeout(server.timeout_s, read=server.read_timeout_s or READ_TIMEOUT_S)
    async with (
        WatchedClient(watch, headers=dict(server.headers), timeout=timeout) as http,
        streamable_http_client(
            server.url,
            http_client=http,
            terminate_on_close=server.terminate_on_close,
            max_sse_event_size=MAX_EVENT_BYTES,
        ) as (read_stream, write_stream),
    ):
        yield _EndWatcher(read_stream, watch), write_stream


@asynccontextmanager
async def _sse(server: SseServer, watch: Watch) -> AsyncIterator[Streams]:
    import httpx2
    from mcp.client.sse import sse_client

    from tiny_agents.mcp_client.http_client import WatchedClient

    def http(
        headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
    ) -> httpx2.AsyncClient:
        return WatchedClient(watch, sse=True, headers=headers, timeout=timeout, auth=auth)

    async with sse_client(
        server.url,
        headers=dict(server.headers),
        timeout=server.timeout_s,
        sse_read_timeout=server.read_timeout_s or READ_TIMEOUT_S,
        httpx_client_factory=http,
    ) as (read_stream, write_stream):
        yield _EndWatcher(read_stream, watch), write_stream


class _EndWatcher:
    """A read stream that tells a `Watch` when it ends."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        self._stream = stream
        self._watch = watch

    @property
    def last_context(self) -> Any:
        return self._stream.last_context

    async def receive(self) -> Any:
        import anyio

        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            self._watch.lose("closed the connection")
            raise

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._watch.lose("closed the connection")
            raise

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


_OPENERS: dict[type[Server], Callable[[Any, Watch], AbstractAsyncContextManager[Streams]]] = {
    StdioServer: _stdio,
    HttpServer: _http,
    SseServer: _sse,
}


def _first_problem(error: ValidationError) -> str:
    """What a validation found first, on one line, without the value (it may be anything)."""
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(step) for step in problem["loc"] if not str(step).startswith("function-"))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
