"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn


@pytest.fixture
def serve() -> Iterator[Callable[..., OpenAIServer]]:
    """Starts scripted models: `serve(turn, ...)` or `serve(function)`. All end with the test."""
    servers: list[OpenAIServer] = []

    def start(*turns: Turn | Callable[[Recorded], Turn]) -> OpenAIServer:
        script: Any = turns[0] if callable(turns[0]) else turns
        servers.append(OpenAIServer(script).__enter__())
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()
