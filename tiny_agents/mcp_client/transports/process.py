"""One server process: started in a group of its own, its output bounded, ended together with its whole group.

Knows nothing of MCP: lines of bytes come out, bytes go in. The SDK has a stdio transport too; this one differs in what a
host of other people's servers needs: helper processes that outlive their server are ended as well (also after a clean
exit, and when the interpreter leaves without any clean-up), a line is bounded and read in linear time, standard error is
drained at all times, and the death of the process is noticed even while a child of it holds its standard output open.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from tiny_agents.mcp_client.text import readable
from tiny_agents.mcp_client.transports.family import ENDED, KILL, Family, process_table

MAX_LINE_BYTES = 64 * 1024 * 1024
"""Longest line (one message) that is kept; of a longer one only both ends are."""

STDERR_BYTES = 64 * 1024
"""How much of the end of standard error is kept."""

GRACE_S = 2.0
"""How long a server may take to leave after its standard input was closed, before it is told to."""

TERMINATE_S = 1.5
"""How long its group may take after that, before it is killed."""

REAP_S = 2.0  # until the system has confirmed a kill; only an unkillable process takes that long
EXIT_S = 1.0  # from the end of a process's pipes to its exit status, on a busy machine
STRAGGLER_S = 0.2  # for output that is still in the pipe when the process has gone
EXIT_S = 0.5  # for servers that nobody closed, when the interpreter leaves
POLL_S = 0.02
READ_BYTES = 64 * 1024
CUT_BYTES = 512


class CutLine(msgspec.Struct, frozen=True):
    """What is kept of a line that was too long."""

    head: bytes
    tail: bytes
    size: int

    def __len__(self) -> int:
        return self.size


class LineSplitter:
    """Bytes -> lines without their newline, however the bytes are cut; keeps at most one unfinished line."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._head = b""
        self._tail = b""
        self._size = 0

    @property
    def is_at_start(self) -> bool:
        """Whether no unfinished line is kept."""
        return not self._size

    def feed(self, data: bytes) -> list[bytes | CutLine]:
        """The lines completed by `data`."""
        *finished, rest = data.split(b"\n")
        lines = [self._finish(piece) for piece in finished]
        self._keep(rest)
        return lines

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size <= self._max_bytes:
            self._buffer += piece
            return
        if self._buffer:
            self._head = bytes(self._buffer[:CUT_BYTES])
            self._tail = bytes(self._buffer[-CUT_BYTES:])
            self._buffer.clear()
        self._head += piece[: CUT_BYTES - len(self._head)]
        self._tail = (self._tail + piece[-CUT_BYTES:])[-CUT_BYTES:]

    def _finish(self, piece: bytes) -> bytes | CutLine:
        if not self._size and len(piece) <= self._max_bytes:
            return piece
        self._keep(piece)
        line = bytes(self._buffer) if self._size <= self._max_bytes else CutLine(self._head, self._tail, self._size)
        self._buffer.clear()
        self._head = self._tail = b""
        self._size = 0
        return line


class Tail:
    """The last `limit` bytes of a stream that may be endless."""

    def __init__(self, limit: int = STDERR_BYTES) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        self._kept += data[-self._limit :]
        if len(self._kept) > 2 * self._limit:
            del self._kept[: -self._limit]

    def text(self) -> str:
        """What is kept, as text without terminal escapes."""
        return readable(self._kept[-self._limit :].decode("utf-8", "replace"))


class ServerProcess(asyncio.SubprocessProtocol):
    """A running server. `exited` is set when the process itself has ended, whoever else still holds its pipes."""

    def __init__(self) -> None:
        self.exited = asyncio.Event()
        self.stderr = Tail()
        self._early = bytearray()
        self._take: Callable[[bytes], None] | None = None
        self._ended: Callable[[], None] = lambda: None
        self._stdout_over = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._released = asyncio.Event()
        self._draining = False
        self._stopping = False

    @classmethod
    async def start(
        cls, command: str, args: Sequence[str], *, env: Mapping[str, str], cwd: str | None
    ) -> ServerProcess:
        """Run `command` with exactly this environment.

        Raises:
            OSError: It could not be started: not found, not executable, no such working directory.
        """
        program = _program(command, env, cwd)
        _, process = await asyncio.get_running_loop().subprocess_exec(
            cls,
            program,
            *args,
            env=dict(env),
            cwd=cwd,
            start_new_session=sys.platform != "win32",
            creationflags=_CREATION_FLAGS,
        )
        return process

    @property
    def pid(self) -> int:
        return self._transport.get_pid()

    @property
    def returncode(self) -> int | None:
        """Exit status; a negative number is the signal that ended it; None while it runs."""
        return self._transport.get_returncode()

    def take_output(self, take: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        """Hand over standard output from now on, piece by piece, and say when there is no more.

        What takes it is called by the event loop, as soon as something can be read: a server that writes faster than that
        waits meanwhile.
        """
        if (before := self._stdout_pipe.get_protocol()) is not None:  # none if it is closed already
            self._stdout_pipe.set_protocol(_Output(self.output, before))
        self._take, self._ended = take, ended
        early, self._early = bytes(self._early), bytearray()
        if early:
            take(early)
        if self._stdout_over:
            ended()
        self._stdout_pipe.resume_reading()

    def output(self, data: bytes) -> None:
        """A piece of standard output has come."""
        if self._draining or self._stdout_over:
            return
        if self._take is not None:
            self._take(data)
            return
        self._early += data
        if len(self._early) > READ_BYTES:
            self._stdout_pipe.pause_reading()

    def put(self, data: bytes) -> None:
        """Write to standard input, now or as soon as the pipe takes more.

        Raises:
            BrokenPipeError: The process doesn't read any more.
        """
        if self._stdin.is_closing():
            raise BrokenPipeError("the server closed its standard input")
        self._stdin.write(data)

    @property
    def is_writable(self) -> bool:
        """Whether the pipe takes more, or never will again."""
        return self._writable.is_set()

    async def writable(self) -> None:
        """Wait until it is."""
        await self._writable.wait()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """End the process and everything in its group: close its standard input, then ask, then kill.

        May be called more than once. If the waiting is cancelled, the group is killed at once.
        """
        if self._stopping:
            await self._released.wait()
            return
        self._stopping = True
        self._draining = True  # a server that is still writing must not be held up by a full pipe
        family = Family(self.pid)
        family.look()  # once it has gone, nobody knows whose they were
        self._stdout_pipe.resume_reading()
        try:
            self._stdin.close()
            went = await self._comes_true(self.exited.is_set, grace_s)
            if not went or family.living() or _group_alive(self.pid):
                family.look()
                _signal_group(self.pid, signal.SIGTERM)
                family.signal(signal.SIGTERM)
                await self._comes_true(
                    lambda: self.exited.is_set() and not (_group_alive(self.pid) or family.living()), TERMINATE_S
                )
        finally:
            _kill_group(self.pid)
            family.signal(KILL)
            _RUNNING.pop(self.pid, None)
            await self._release()

    async def _release(self) -> None:
        try:
            await self._comes_true(self.exited.is_set, REAP_S)
        finally:
            self._transport.close()
        await self._comes_true(self._released.is_set, REAP_S)
        self._released.set()

    @staticmethod
    async def _comes_true(condition: Callable[[], bool], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)
        self._stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))
        self._stdout_pipe = cast(asyncio.ReadTransport, self._transport.get_pipe_transport(1))
        _RUNNING[self.pid] = os.getpid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.stderr.add(data)
        else:
            self.output(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 0:
            self._writable.set()
        elif fd == 1:
            self._end_stdout()

    def process_exited(self) -> None:
        self.exited.set()
        asyncio.get_running_loop().call_later(STRAGGLER_S, self._end_stdout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_stdout()
        self._released.set()
        if not _group_alive(self.pid):  # the number may be given to somebody else from now on
            _RUNNING.pop(self.pid, None)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _end_stdout(self) -> None:
        if not self._stdout_over:
            self._stdout_over = True
            self._ended()


class _Output(asyncio.Protocol):
    """Standard output as its pipe reads it, without the transport of the subprocess in between, which hands each piece on in
    a later round of the event loop."""

    def __init__(self, take: Callable[[bytes], None], before: asyncio.BaseProtocol) -> None:
        self._take = take
        self._before = before

    def data_received(self, data: bytes) -> None:
        self._take(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._before.connection_lost(exc)  # the subprocess has ended when all its pipes have


# ---------------------------------------------------------------- environment

_INHERITED = (
    "APPDATA HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE SYSTEMDRIVE SYSTEMROOT TEMP USERNAME"
    " USERPROFILE"
    if sys.platform == "win32"
    else "HOME LOGNAME PATH SHELL TERM USER"
).split()


def default_environment(env: Mapping[str, str]) -> dict[str, str]:
    """What of `env` a server gets without being given it, as the SDK has it; no shell functions."""
    return {name: env[name] for name in _INHERITED if name in env and not env[name].startswith("()")}


# ---------------------------------------------------------------- process groups

_RUNNING: dict[int, int] = {}
"""Groups that were started and not yet ended, and the process that did so: for the last look when the interpreter
leaves. A process that was forked off in between must not end its parent's servers."""


def _program(command: str, env: Mapping[str, str], cwd: str | None) -> str:
    if cwd is not None and not Path(cwd).is_dir():
        raise NotADirectoryError(f"the working directory '{cwd}' does not exist")
    if sys.platform == "win32":
        # npx, uvx and the like are .cmd files, which the system finds only by their whole name.
        return shutil.which(command, path=env.get("PATH")) or command
    return command


@atexit.register
def _end_leftovers() -> None:
    mine = [pid for pid, owner in _RUNNING.items() if owner == os.getpid()]
    families = [Family(pid) for pid in mine]
    for family in families:
        family.look()
    left = [pid for pid in mine if _signal_group(pid, signal.SIGTERM)]
    for family in families:
        family.signal(signal.SIGTERM)
    deadline = time.monotonic() + EXIT_S
    while any(_group_alive(pid) for pid in left) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    for pid in left:
        _kill_group(pid)
    for family in families:
        family.signal(KILL)


if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP

    def _signal_group(pid: int, _how: int) -> bool:
        _kill_group(pid)  # a console program can't be asked; the system's tool takes the descendants along
        return True

    def _kill_group(pid: int) -> None:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], capture_output=True, check=False)

    def _group_alive(_pid: int) -> bool:
        return False

else:
    _CREATION_FLAGS = 0

    def _signal_group(pid: int, how: int) -> bool:
        """Send a signal to the group that `pid` leads; False if nobody is left in it.

        The leader's pid is the group's number for as long as the group has a member, also after the leader has gone.
        """
        try:
            os.killpg(pid, how)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True  # a member belongs to somebody else, or (macOS) is a zombie; the others got the signal
        return True

    def _kill_group(pid: int) -> None:
        _signal_group(pid, signal.SIGKILL)

    def _group_alive(pid: int) -> bool:
        """Whether a member of the group still runs; one that has ended and only wasn't collected yet doesn't."""
        return _signal_group(pid, 0) and not _all_ended(pid)

    def _all_ended(pid: int) -> bool:
        """Whether all members of the group are zombies: for ever so in a container whose first process collects none.

        Known where there is a /proc; elsewhere False.
        """
        table = process_table()
        return bool(table) and all(entry.state in ENDED for entry in table.values() if entry.group == pid)
