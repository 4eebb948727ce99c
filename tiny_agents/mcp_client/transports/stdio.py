"""A server as a process: messages are lines on its standard input and output."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tiny_agents.mcp_client.connection.servers import (
    StdioServer,
)
from tiny_agents.mcp_client.connection.watch import (
    Watch,
    exit_of,
)
from tiny_agents.mcp_client.host.host import Desk
from tiny_agents.mcp_client.transports.framing import MAX_NOISE_BYTES, WAITING_MESSAGES, Streams, read_message
from tiny_agents.mcp_client.transports.process import (
    EXIT_S,
    LineSplitter,
    ServerProcess,
    default_environment,
)

if TYPE_CHECKING:  # importing it costs 0.7 s
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from mcp.shared.message import SessionMessage


@asynccontextmanager
async def running(server: StdioServer, watch: Watch) -> AsyncIterator[None]:
    """The server's process, as `watch.process`. It is started without the SDK, whose import takes as long as many servers
    take to start: both go on at the same time.

    Raises:
        OSError: It could not be started.
    """
    import anyio

    env = {**default_environment(os.environ), **server.env}
    process = watch.process = await ServerProcess.start(server.command, server.args, env=env, cwd=server.cwd)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await process.stop(watch.grace_s)


@asynccontextmanager
async def open_stdio(_: StdioServer, watch: Watch, __: Desk) -> AsyncIterator[Streams]:
    """The streams of the process that is `running`."""
    import anyio

    process = watch.process
    assert process is not None
    arrived, read_stream = anyio.create_memory_object_stream["SessionMessage | Exception"](0)
    # Room for what a server doesn't read: a call that is cancelled sends word of it, and must not wait for that.
    write_stream, leaving = anyio.create_memory_object_stream["SessionMessage"](WAITING_MESSAGES)
    async with arrived, read_stream, write_stream, leaving, anyio.create_task_group() as tasks:
        tasks.start_soon(_read_messages, process, watch, arrived)
        tasks.start_soon(_write_messages, process, watch, leaving)
        yield read_stream, write_stream
        tasks.cancel_scope.cancel()


async def _read_messages(
    process: ServerProcess, watch: Watch, arrived: MemoryObjectSendStream[SessionMessage | Exception]
) -> None:
    import anyio
    from mcp.shared.message import SessionMessage

    lines, noise = LineSplitter(), 0
    async with arrived:
        try:
            while data := await process.read():
                noise += len(data)
                if watch.noise and lines.is_at_start and b"{" not in data:  # a flood of lines is skipped as a whole
                    data = data[data.rfind(b"\n") + 1 :]
                for line in lines.feed(data):
                    if (message := read_message(line, watch)) is not None:
                        noise = 0
                        await arrived.send(SessionMessage(message))
                if noise > MAX_NOISE_BYTES:
                    watch.lose("floods its standard output with what is no MCP")
                    return
                await anyio.lowlevel.checkpoint()  # others' turn: a server may write faster than this is read
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the session has been left
        watch.lose(await _end_of(process, "closed its standard output"))


async def _write_messages(
    process: ServerProcess, watch: Watch, leaving: MemoryObjectReceiveStream[SessionMessage]
) -> None:
    async with leaving:
        try:
            async for item in leaving:
                text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
                await process.write(text.encode() + b"\n")
        except BrokenPipeError:
            watch.lose(await _end_of(process, "stopped reading its standard input"))


async def _end_of(process: ServerProcess, otherwise: str) -> str:
    """How the process ended, as a sentence that continues its name; the end of its pipes comes a moment before that.

    Args:
        otherwise: What it did, if it goes on.
    """
    import anyio

    with anyio.move_on_after(EXIT_S):
        await process.exited.wait()
    return otherwise if process.returncode is None else exit_of(process.returncode)
