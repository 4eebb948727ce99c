"""How to start the MCP servers of the tests: parameters for `add_mcp_server`, and remote servers as context managers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.starting import Started, start
from tiny_agents.mcp_client.client import MCPClient

STDERR = 2
HERE = Path(__file__).parent
UNUSED_MODEL = "http://127.0.0.1:1/v1"  # nothing listens there: for tests in which no model is asked

TIME_SERVER: dict[str, Any] = {"type": "stdio", "command": sys.executable, "args": ["-m", "mcp_server_time"]}


def stdio_server(**parameters: Any) -> dict[str, Any]:
    """Our own server over stdio, of the SDK's making: for tests that are about what such a server sends."""
    return {"type": "stdio", "command": sys.executable, "args": [str(HERE / "mcp_server.py"), "stdio"], **parameters}


def desk_server(**parameters: Any) -> dict[str, Any]:
    """The one with tools that wait, meet and die; it needs no SDK and starts in a few hundredths of a second."""
    return {"type": "stdio", "command": sys.executable, "args": [str(HERE / "desk_server.py")], **parameters}


def busy_server(**parameters: Any) -> dict[str, Any]:
    """The one that changes, reports progress and asks back, over stdio with the newest protocol."""
    return {"type": "stdio", "command": sys.executable, "args": [str(HERE / "busy_server.py")], **parameters}


def library_server(*extra: str, **parameters: Any) -> dict[str, Any]:
    """The one with resources and prompts, over stdio; `extra` is "ttl" or "endless"."""
    args = [str(HERE / "library_server.py"), "stdio", *extra]
    return {"type": "stdio", "command": sys.executable, "args": args, "name": "library", **parameters}


def bad_server(behaviour: str, argument: str = "", **parameters: Any) -> dict[str, Any]:
    """The one that misbehaves; it needs no SDK and starts in a few hundredths of a second."""
    args = [str(HERE / "wild_server.py"), behaviour, argument]
    return {"type": "stdio", "command": sys.executable, "args": args, "name": behaviour, **parameters}


def no_model(**options: Any) -> MCPClient:
    """A client for tests that only use its servers."""
    return MCPClient(base_url=UNUSED_MODEL, model="none", **options)


@dataclass
class RemoteServer:
    kind: str
    url: str
    process: Started | subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.split(":")[2].split("/")[0])

    def parameters(self, **more: Any) -> dict[str, Any]:
        return {"type": self.kind, "url": self.url, **more}


@contextmanager
def remote_server(kind: str, port: int = 0, script: str = "mcp_server") -> Iterator[RemoteServer]:
    """Our own server over "http" or "sse", on a free port, or once more on one that was free before."""
    command = [sys.executable, "-m", f"tests.support.{script}", kind, str(port)]
    with start(command, cwd=HERE.parent.parent, env=os.environ, stderr=STDERR) as process:
        try:
            assert process.stdout is not None
            ready, _, url = process.stdout.readline().decode().strip().partition(" ")
            assert ready == "READY", f"the {kind} server didn't start"
            yield RemoteServer(kind, url, process)
        finally:
            process.kill()


@contextmanager
def bad_server_over(kind: str, behaviour: str, argument: str = "", **parameters: Any) -> Iterator[dict[str, Any]]:
    """The one that misbehaves, over "stdio", "http" (answers as events), "json" (answers as bodies) or "sse"."""
    if kind == "stdio":
        yield bad_server(behaviour, argument, **parameters)
        return
    command = [sys.executable, str(HERE / "bad_remote.py"), kind, behaviour, argument]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready, _, url = process.stdout.readline().strip().partition(" ")
            assert ready == "READY"
            yield {"type": "sse" if kind == "sse" else "http", "url": url, "name": behaviour, **parameters}
        finally:
            process.terminate()
