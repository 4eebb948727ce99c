"""How much a client takes at most, and what it may be told of that."""

from __future__ import annotations

from typing import Literal

from tiny_agents.errors import UsageError

MAX_RESULT_CHARS = 40_000
"""How much of a result a model gets to read; what is missing is announced in the text."""

LEAST_RESULT_CHARS = 500

MAX_TOOLS = 60
"""With more tools than this, those of servers are found by a search."""

Pinning = Literal["off", "warn", "strict"]
"""What becomes of a tool that changed: nothing; a warning; or it isn't used until the user accepts it."""

PINNING: tuple[Pinning, ...] = ("off", "warn", "strict")


def check_bounds(
    pinning: Pinning,
    startup_timeout: float,
    tool_timeout: float,
    max_parallel_calls: int | None,
    result_max_chars: int,
) -> None:
    """Raises UsageError for arguments of `MCPClient` that no client can keep to."""
    for name, seconds in (("startup_timeout", startup_timeout), ("tool_timeout", tool_timeout)):
        if not seconds > 0:
            raise UsageError(f"{name} must be more than 0 seconds, not {seconds!r}")
    if pinning not in PINNING:
        raise UsageError(f"pinning must be 'off', 'warn' or 'strict', not {pinning!r}")
    if max_parallel_calls is not None and max_parallel_calls < 1:
        raise UsageError(f"max_parallel_calls must be at least 1, not {max_parallel_calls!r}")
    if result_max_chars < LEAST_RESULT_CHARS:
        raise UsageError(f"result_max_chars must be at least {LEAST_RESULT_CHARS}, not {result_max_chars!r}")
