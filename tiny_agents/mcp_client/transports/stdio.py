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
        self._lines = LineSplitter()
        self._noise = 0
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken = self._over = False
        self._receive: Callable[[Message], None] = lambda _: None
        self._ended: Callable[[], None] = lambda: None

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._receive, self._ended = receive, ended
        self._process.take_output(self._take, self._end)

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
        self._stop()
        for task in (tasks := set(self._tasks)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _write(self, line: bytes) -> None:
        try:
            self._process.put(line)
        except BrokenPipeError:
            if not self._broken:
                self._broken = True
                self._begin(self._lose("stopped reading its standard input"))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"MCP process {self._process.pid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- called by the event loop

    def _take(self, data: bytes) -> None:
        if self._over:
            return
        try:
            self._read(data)
        except Exception as error:
            logger.exception("what an MCP server writes could not be read")
            self._watch.lose(f"could not be read ({type(error).__name__})")
            self._stop()

    def _read(self, data: bytes) -> None:
        self._noise += len(data)
        if self._watch.noise and self._lines.is_at_start and b"{" not in data:
            data = data[data.rfind(b"\n") + 1 :]  # a flood of lines is skipped as a whole
        for line in self._lines.feed(data):
            if (message := read_message(line, self._watch)) is not None:
                self._noise = 0
                self._receive(message)
        if self._noise > MAX_NOISE_BYTES:
            self._watch.lose("floods its standard output with what is no MCP")
            self._stop()

    def _end(self) -> None:
        if not self._over:
            self._begin(self._end_with_process())

    async def _end_with_process(self) -> None:
        await self._lose("closed its standard output")
        self._stop()

    def _stop(self) -> None:
        if not self._over:
            self._over = True
            self._ended()

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
