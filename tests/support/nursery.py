"""Starts programs for the tests, `tiny-agents` in a tenth of the time.

    python -m tests.support.nursery FD          FD is a socket on which `starting.py` asks for programs

It has loaded the libraries that `tiny-agents` uses and the packages of `tiny_agents` below the command line, none of which
does anything while it is loaded. For each program it forks: the child gets the streams, the variables, the folder and, if
wanted, the terminal that were asked for, and runs `tiny_agents` as `python -m` does. So each is a process of its own that
loads the command line anew. Other programs are executed in the usual way.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tiny_agents

LIBRARIES = (
    "anyio._backends._asyncio",
    "httpx2",
    "mcp.client.auth",
    "mcp.client.sse",
    "mcp.client.stdio",
    "mcp.client.streamable_http",
    "mcp.server.mcpserver",
    "msgspec.yaml",
    "prompt_toolkit.shortcuts",
    "rich.markdown",
    "truststore",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.auto",
)
OURS = ("agent", "inference", "mcp_client")


def serve(requests: socket.socket) -> dict[str, Any]:
    """Start what is asked for until nobody asks any more. Returns in the new processes only, with what to do there."""
    while True:
        head, descriptors, _, _ = socket.recv_fds(requests, 4, 4)
        if not head:
            os._exit(0)
        request = json.loads(_exactly(requests, int.from_bytes(head, "big")))
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _keep(descriptors)
            return {**request, "streams": descriptors[:3]}
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_for_ended(*_: object) -> None:
    """Forget who has ended, so that its time is counted with ours."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _exactly(requests: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += requests.recv(size - len(data))
    return data


def _keep(descriptors: list[int]) -> None:
    """Start the program's process and wait for its end on behalf of the test. Returns in the new process only.

    The test reads from the last descriptor: the process id at first, and the status when the process has ended.
    """
    pid = os.fork()
    if pid == 0:
        return
    *streams, told = descriptors
    for descriptor in streams:
        os.close(descriptor)
    os.write(told, f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(BrokenPipeError):  # the test may have lost interest
        os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for."""
    if request["terminal"]:
        os.setsid()
        fcntl.ioctl(request["streams"][0], termios.TIOCSCTTY, 0)
    for wanted, descriptor in enumerate(request["streams"]):
        os.dup2(descriptor, wanted)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    for signum in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    os.chdir(request["cwd"])
    if not request["as_module"]:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.execvpe(request["command"][0], request["command"], request["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    _, _, module, *arguments = request["command"]
    sys.argv = [module, *arguments]  # the first becomes the module's file
    sys.path[0] = request["cwd"]
    sys.stdin = sys.__stdin__ = _stream(0, "r", sys.stdin)
    sys.stdout = sys.__stdout__ = _stream(1, "w", sys.stdout)
    sys.stderr = sys.__stderr__ = _stream(2, "w", sys.stderr)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _stream(descriptor: int, mode: str, like: Any) -> io.TextIOWrapper:
    """Standard input, output or error of this process, as Python makes them."""
    raw = io.FileIO(descriptor, mode, closefd=False)
    raw.name = like.name  # type: ignore[misc]
    buffered: Any = io.BufferedReader(raw) if mode == "r" else io.BufferedWriter(raw)
    in_lines = descriptor == 2 or raw.isatty()
    stream = io.TextIOWrapper(
        buffered, like.encoding, like.errors, newline="\n" if mode == "w" else None, line_buffering=in_lines
    )
    stream.mode = mode  # type: ignore[misc]
    return stream


def _ours() -> Iterator[str]:
    """Modules of `tiny_agents`."""
    (root,) = map(Path, tiny_agents.__path__)
    for package in OURS:
        for file in sorted((root / package).rglob("*.py")):
            *parts, last = file.relative_to(root.parent).with_suffix("").parts
            yield ".".join(parts if last == "__init__" else [*parts, last])


def main() -> dict[str, Any]:
    requests = socket.socket(fileno=int(sys.argv[1]))
    for signum in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(signum, signal.SIG_IGN)  # Ctrl+C is for the tests
    signal.signal(signal.SIGCHLD, _wait_for_ended)
    for module in (*LIBRARIES, *_ours()):
        importlib.import_module(module)
    gc.collect()
    gc.freeze()
    return serve(requests)


if __name__ == "__main__":
    become(main())
