"""What the tests against servers of others share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.integration.conftest import serve
from tests.servers.installed import everything, everything_over, fastmcp, fastmcp_over

__all__ = ["serve"]


STARTS = {"everything": everything_over, "fastmcp": fastmcp_over}


@pytest.fixture(scope="session")
def remote() -> Iterator[Callable[[str, str], dict[str, Any]]]:
    """`remote("everything", "http")` starts that server when it is asked for first; all end with the session."""
    with ExitStack() as running:
        yield cache(lambda name, kind: running.enter_context(STARTS[name](kind)))


@pytest.fixture(params=["stdio", "http", "sse"])
def everything_server(request: pytest.FixtureRequest, remote: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    """Parameters for `add_mcp_server`."""
    return everything() if request.param == "stdio" else remote("everything", request.param)


@pytest.fixture(params=["stdio", "http", "sse"])
def fastmcp_server(request: pytest.FixtureRequest, remote: Callable[[str, str], dict[str, Any]]) -> dict[str, Any]:
    if request.param == "stdio":
        command, *args = fastmcp("stdio")
        return {"type": "stdio", "command": command, "args": args, "name": "fast"}
    return remote("fastmcp", request.param)
