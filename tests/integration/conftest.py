"""What the integration tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.openai_server import OpenAIServer, scripted_servers


@pytest.fixture
def serve() -> Iterator[Callable[..., OpenAIServer]]:
    """Starts scripted models: `serve(turn, ...)` or `serve(function)`. All end with the test."""
    with scripted_servers() as (_, start):
        yield start
