"""How much a request may use. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from tiny_agents.errors import UsageError

LimitName = Literal["model_calls", "tool_calls", "tokens", "cost_usd", "seconds", "repeat"]

DEFAULT_MODEL_CALLS = 20

_COUNTS = ("model_calls", "tool_calls", "tokens", "repeat")
_AMOUNTS = ("cost_usd", "seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that one request may use; None is no limit of its own.

    Attributes:
        model_calls: Calls of the model; those that only lead to tools count too. There always is such a limit: where
            nobody sets one it is 20.
        tool_calls: Calls of tools that are carried out. What a model asks for beyond is refused, and it is told why.
        tokens: Tokens that the model reads and writes, over all calls. Checked between calls.
        cost_usd: US dollars. Needs to know what the model costs.
        seconds: Time from the request to its end; an answer or a tool call that is under way is stopped.
        repeat: The same call of the same tool with the same arguments and the same result, this many times in a row.
        last_answer: Whether a model that comes to a limit is told so and asked for a last answer without tools, as long as
            one more call is within all limits. None is yes.

    Raises:
        UsageError: A limit that is no number above 0 (`repeat`: above 1).
    """

    model_calls: int | None = None
    tool_calls: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    repeat: int | None = None
    last_answer: bool | None = None

    def __post_init__(self) -> None:
        for name in _COUNTS:
            least = LEAST.get(name, 1)
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise UsageError(f"limits: {name} must be a whole number, at least {least}; got {value!r}.")
        for name in _AMOUNTS:
            value = getattr(self, name)
            if value is None:
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value < math.inf:
                raise UsageError(f"limits: {name} must be a number above 0; got {value!r}.")
        if not isinstance(self.last_answer, (bool, type(None))):
            raise UsageError(f"limits: last_answer must be True or False; got {self.last_answer!r}.")

    def over(self, other: Limits) -> Limits:
        """These limits, and `other`'s where these say nothing."""
        said: dict[str, Any] = {
            field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None
        }
        return replace(other, **said)


LEAST: Mapping[str, int] = {"tool_calls": 0, "repeat": 2}
"""The smallest value of the limits that don't start at 1."""
