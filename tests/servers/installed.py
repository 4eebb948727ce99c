"""Where `make servers` has installed the MCP servers of others, and how to start them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".servers"
HERE = Path(__file__).parent
MODULES = FOLDER / "node" / "node_modules"
BROWSER_MODULES = FOLDER / "browser" / "node_modules"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js on the PATH")


def python_program(environment: str, name: str) -> str:
    """A program that the package installed: the one a user would start."""
    return _there(FOLDER / environment / "bin" / name)


def script(package: str, path: str = "dist/index.js", modules: Path = MODULES) -> str:
    return _there(modules / package / path)


def everything(**parameters: Any) -> dict[str, Any]:
    """The reference server with all of the protocol, over stdio."""
    return {
        "type": "stdio",
        "command": "node",
        "args": [everything_script(), "stdio"],
        "name": "everything",
        **parameters,
    }


def everything_script() -> str:
    return script("@modelcontextprotocol/server-everything")


@contextmanager
def everything_over(kind: str) -> Iterator[dict[str, Any]]:
    """The same over "http" or "sse": it takes a port from its environment and can't be given a free one by the system."""
    transport, path = {"http": ("streamableHttp", "mcp"), "sse": ("sse", "sse")}[kind]
    port = free_port()
    with process(["node", everything_script(), transport], env={**os.environ, "PORT": str(port)}):
        reachable(port)
        yield {"type": kind, "url": f"http://127.0.0.1:{port}/{path}", "name": "everything"}


def fastmcp(kind: str, port: int = 0) -> list[str]:
    return [python_program("fastmcp", "python"), str(HERE / "fastmcp_server.py"), kind, str(port)]


@contextmanager
def fastmcp_over(kind: str) -> Iterator[dict[str, Any]]:
    port = free_port()
    with process(fastmcp(kind, port)):
        reachable(port)
        path = {"http": "mcp", "sse": "sse"}[kind]
        yield {"type": kind, "url": f"http://127.0.0.1:{port}/{path}", "name": "fast"}


@contextmanager
def process(command: list[str], env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=env, stdin=quiet, stdout=quiet, stderr=quiet) as running:
        try:
            yield running
        finally:
            running.kill()


def reachable(port: int, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens at port {port}"
            time.sleep(0.02)


def _there(path: Path) -> str:
    assert path.exists(), f"{path.relative_to(ROOT)} is missing: `make servers` installs it"
    return str(path)
