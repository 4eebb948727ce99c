"""What is compared: the same works, done by each client in a process of its own.

    python -m benchmarks.clients CLIENT WORK SETTING     SETTING is JSON; prints one line of JSON

Only the standard library is imported up here: each client runs in the environment that has its package.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Server:
    """An MCP server: a command of Python, or a URL."""

    kind: Literal["stdio", "http"]
    command: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True)
class Setting:
    """What an agent is made of.

    Attributes:
        model_url: Of the scripted model, with `/v1`.
        turns: Most model calls of a run, so that no client stops before.
        history: Messages that have been said before.
    """

    model_url: str
    server: Server | None = None
    turns: int = 10
    history: int = 0


Run = Callable[[str], AsyncIterator[Any]]
"""Works on a prompt; yields whatever the client yields while it does."""

Open = Callable[[Setting], AbstractAsyncContextManager[Run]]
"""An agent, ready to run: connected to its server, tools listed."""


def earlier(count: int) -> list[dict[str, Any]]:
    """Messages of a conversation so far: requests, calls, results, answers."""
    messages: list[dict[str, Any]] = []
    for number in range(count // 4):
        call = {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": f'{{"n": {number}}}'}}
        messages += [
            {"role": "user", "content": f"Request {number}: what about this? "},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{number}", "content": f"Result {number}: a line of what it found."},
            {"role": "assistant", "content": f"Answer {number}. It is like this. " * 4},
        ]
    return messages
