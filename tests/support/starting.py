"""Programs as processes of their own, started by one that has the libraries of `tiny-agents` loaded already (`nursery.py`).

With TINY_AGENTS_COLD_STARTS=1 every program is started from nothing, as its users start it: a second more for each.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

COLD = bool(os.environ.get("TINY_AGENTS_COLD_STARTS")) or sys.platform != "linux"
PROGRAM = [sys.executable, "-m", "tiny_agents"]
_PYTHON_MODULE = PROGRAM[:2]
_WARM = (
    "tiny_agents",
    "tests.support.library_server",
    "tests.support.mcp_server",
)  # what the nursery's libraries are for
_ROOT = Path(__file__).parents[2]
_FOR_PYTHON = ("PYTHON", "LC_", "LANG")  # Python reads these variables when it starts


class Started:
    """A process with what tests need of `subprocess.Popen`: pipes to and from it, signals, its end."""

    def __init__(self, told: int, pipes: Sequence[IO[bytes] | None]) -> None:
        self.stdin, self.stdout, self.stderr = pipes
        self.returncode: int | None = None
        self._told = open(told, "rb", buffering=0)  # noqa: SIM115 - closed when the process has ended
        self.pid = int(self._told.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.kill()
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe is not None:
                pipe.close()
        self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Until the process has ended; its exit status, minus the signal's number if one ended it."""
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._told, selectors.EVENT_READ)
                if not selector.select(timeout):
                    raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            self.returncode = int(self._told.readline())
            self._told.close()
        return self.returncode

    def poll(self) -> int | None:
        """The exit status, None while the process runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and that is being told
                os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self, input: bytes = b"", timeout: float = 60.0) -> tuple[bytes, bytes]:
        """Write `input`, read all that is written to the pipes, and wait for the end."""
        deadline = time.monotonic() + timeout
        found: dict[IO[bytes], bytes] = {}

        def read(pipe: IO[bytes]) -> None:
            found[pipe] = pipe.read()

        pipes = [pipe for pipe in (self.stdout, self.stderr) if pipe is not None]
        readers = [threading.Thread(target=read, args=(pipe,), daemon=True) for pipe in pipes]
        for reader in readers:
            reader.start()
        if self.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.stdin.write(input)
                self.stdin.close()
        for reader in readers:
            reader.join(deadline - time.monotonic())
            if reader.is_alive():
                self.kill()
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
        self.wait(max(0.0, deadline - time.monotonic()))
        return found.get(self.stdout, b""), found.get(self.stderr, b"")  # type: ignore[arg-type]


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> Started | subprocess.Popen[bytes]:
    """Start a program; its streams are descriptors, `subprocess.PIPE` or `subprocess.DEVNULL`."""
    if not _is_warm(command, env):
        return subprocess.Popen(command, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
    with contextlib.ExitStack() as given:
        ours, theirs = zip(
            *(_ends(given, number, end) for number, end in enumerate((stdin, stdout, stderr))), strict=True
        )
        return Started(_ask(command, cwd, env, theirs, terminal=False), ours)


def start_in_terminal(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], descriptor: int) -> Started:
    """Start a program whose terminal this is."""
    return Started(_ask(command, cwd, env, [descriptor] * 3, terminal=True), [None] * 3)


def _is_warm(command: Sequence[str], env: Mapping[str, str]) -> bool:
    """Whether the program can start in a process that Python has been started in with our variables."""

    def for_python(variables: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in variables.items() if name.startswith(_FOR_PYTHON)}

    is_module = list(command[:2]) == _PYTHON_MODULE and command[2] in _WARM
    return is_module and not COLD and for_python(env) == for_python(os.environ)


def _ends(given: contextlib.ExitStack, number: int, end: int) -> tuple[IO[bytes] | None, int]:
    """Our end of a stream of a program, if there is one, and the program's, which `given` closes if we made it."""
    if end >= 0:
        return None, end
    if end == subprocess.DEVNULL:
        theirs = os.open(os.devnull, os.O_RDWR)
        given.callback(os.close, theirs)
        return None, theirs
    reads, writes = os.pipe()
    given.callback(os.close, writes if number else reads)
    return (open(reads, "rb"), writes) if number else (open(writes, "wb"), reads)


_one_at_a_time = threading.Lock()


def _ask(command: Sequence[str], cwd: Path, env: Mapping[str, str], streams: Sequence[int], *, terminal: bool) -> int:
    """Have the nursery start a program. What is read from the returned descriptor is about its process."""
    request = {"command": list(command), "cwd": str(cwd), "env": dict(env), "terminal": terminal}
    data = json.dumps({**request, "as_module": _is_warm(command, env)}).encode()
    reads, writes = os.pipe()
    try:
        with _one_at_a_time:
            socket.send_fds(_nursery(), [len(data).to_bytes(4, "big")], [*streams, writes])
            _nursery().sendall(data)
    finally:
        os.close(writes)
    return reads


def ready() -> None:
    """Start what starts the others now, and not with the first program."""
    if not COLD:
        _nursery()


@functools.cache
def _nursery() -> socket.socket:
    """The process that starts others, on first use. It ends when our end of its socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno())]
        process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours
