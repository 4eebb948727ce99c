"""A server as a process: messages are lines on its standard input and output."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.connection.watch import Watch, exit_of
from tiny_agents.mcp_client.protocol.messages import Message, encode
from tiny_agents.mcp_client.transports.framing import MAX_NOISE_BYTES, WAITING_MESSAGES, read_message
from tiny_agents.mcp_client.transports.process import (
    EXIT_S,
    READ_BYTES,
    LineSplitter,
    ServerProcess,
    default_environment,
)

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.servers import StdioServer
    from tiny_agents.mcp_client.host.host import Desk

logger = logging.getLogger("tiny_agents.mcp_client")


@asynccontextmanager
async def open_stdio(server: StdioServer, watch: Watch, _: Desk) -> AsyncIterator[StdioLink]:
    """A process that is started now, as `watch.process`, and ended with the block.

    Raises:
        OSError: It could not be started.
    """
    env = {**default_environment(os.environ), **server.env}
    process = watch.process = await ServerProcess.start(server.command, server.args, env=env, cwd=server.cwd)
    link = StdioLink(process, watch)
    try:
        yield link
    finally:
        try:
            await link.close()
        finally:
            await process.stop(watch.grace_s)


class StdioLink:
    """Lines to and from a process."""

    takes_headers = False

    def __init__(self, process: ServerProcess, watch: Watch) -> None:
        self._process = process
        self._watch = watch
        self._waiting = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._broken = False

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._begin(self._read(receive, ended))

    async def send(self, message: Message, headers: Mapping[str, str] | None = None) -> None:
        self._write(encode(message) + b"\n")
        if self._process.is_writable:
            self._waiting = 0
        else:
            self._waiting += 1
            if self._waiting >= WAITING_MESSAGES:
                await self._process.writable()
                self._waiting = 0

    async def tell(self, message: Message) -> None:
        self._write(encode(message) + b"\n")  # there is room for what a server doesn't read: nobody waits for that

    async def close(self) -> None:
        """Read no more."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _write(self, line: bytes) -> None:
        try:
            self._process.put(line)
        except BrokenPipeError:
            if not self._broken:
                self._broken = True
                self._begin(self._lose("stopped reading its standard input"))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"MCP process {self._process.pid}")
        task.add_done_callback(self._done)
        self._tasks.append(task)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("what an MCP server writes could not be read", exc_info=error)
            self._watch.lose(f"could not be read ({type(error).__name__})")

    async def _read(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        process, watch, lines, noise = self._process, self._watch, LineSplitter(), 0
        try:
            while data := await process.read():
                size = len(data)
                noise += size
                if watch.noise and lines.is_at_start and b"{" not in data:  # a flood of lines is skipped as a whole
                    data = data[data.rfind(b"\n") + 1 :]
                for line in lines.feed(data):
                    if (message := read_message(line, watch)) is not None:
                        noise = 0
                        receive(message)
                if noise > MAX_NOISE_BYTES:
                    watch.lose("floods its standard output with what is no MCP")
                    return
                if size == READ_BYTES:
                    await asyncio.sleep(0)  # others' turn: a server may write faster than this is read
            await self._lose("closed its standard output")
        finally:
            ended()

    async def _lose(self, otherwise: str) -> None:
        """Say how the process ended; the end of its pipes comes a moment before that.

        Args:
            otherwise: What it did, if it goes on.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(EXIT_S):
                await self._process.exited.wait()
        code = self._process.returncode
        self._watch.lose(otherwise if code is None else exit_of(code))
