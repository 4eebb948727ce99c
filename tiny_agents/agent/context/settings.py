"""How much of a conversation a model gets: what the user says about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.bounds import LEAST_RESULT_CHARS

LEAST_MAX_TOKENS = 500


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a conversation the model gets, and what is done before it is too much.

    Attributes:
        max_tokens: The model's window, question and answer together. None finds out: from a small table, from the embedded
            model, or from the error of a server that was sent too much.
        compact: Whether the older part of a long conversation is summed up for the model. `agent.messages` stays whole.
        at: The share of the window that is filled before that is done.
        keep: How many of the last requests, with all that came of them, stay word for word if they fit.
        result_max_chars: Longest tool result that the model gets at once; it reads on with a tool. None is 40,000.
        max_tools: With more tools than this, those of servers are found by a search instead of all being sent. None is 60.

    Raises:
        UsageError: A value that makes no sense.
    """

    max_tokens: int | None = None
    compact: bool = True
    at: float = 0.8
    keep: int = 3
    result_max_chars: int | None = None
    max_tools: int | None = None

    def __post_init__(self) -> None:
        for name, least, optional in _COUNTS:
            value = getattr(self, name)
            if value is None and optional:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise UsageError(f"context: {name} must be a whole number, at least {least}; got {value!r}.")
        compact: object = self.compact
        if not isinstance(compact, bool):
            raise UsageError(f"context: compact must be True or False; got {self.compact!r}.")
        at: object = self.at
        if isinstance(at, bool) or not isinstance(at, (int, float)) or not AT[0] <= at <= AT[1]:
            raise UsageError(f"context: at must be a number from {AT[0]} to {AT[1]}; got {self.at!r}.")


AT = (0.2, 0.95)
"""The least and the most of `at`."""

_COUNTS = (
    ("max_tokens", LEAST_MAX_TOKENS, True),
    ("keep", 1, False),
    ("result_max_chars", LEAST_RESULT_CHARS, True),
    ("max_tools", 1, True),
)


def context_settings(given: ContextSettings | Mapping[str, Any] | None) -> ContextSettings:
    """Settings from a mapping of their names, in which "auto" and "off" mean what they say, as in a definition.

    Raises:
        UsageError: An unknown name, or a value that makes no sense.
    """
    if given is None:
        return ContextSettings()
    if isinstance(given, ContextSettings):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"context must be ContextSettings or a mapping of its fields; got {type(given).__name__}.")
    known = ContextSettings.__struct_fields__
    for name in given:
        if name not in known:
            raise UsageError(f"context: there is no {name!r}; it has {', '.join(known)}.")
    said = {name: value for name, value in given.items() if value != "auto" or name not in ("max_tokens", "compact")}
    if said.get("compact") == "off":
        said["compact"] = False
    return ContextSettings(**said)
