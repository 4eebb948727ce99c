"""How much a request may use. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tiny_agents.errors import UsageError

LimitName = Literal["model_calls", "tool_calls", "tokens", "cost_usd", "seconds", "repeat"]

DEFAULT_MODEL_CALLS = 20

DEFAULT_RETRIES = 2
"""How often a model is asked again whose final answer isn't what it has to be."""

_COUNTS = ("model_calls", "tool_calls", "tokens", "repeat")
_AMOUNTS = ("cost_usd", "seconds")
_NEXT_TO_NOTHING = 1e-9


class Limits(msgspec.Struct, frozen=True, kw_only=True):
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
            name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not None
        }
        return msgspec.structs.replace(other, **said)

    def within(self, left: Mapping[LimitName, float], used: Mapping[LimitName, float]) -> Limits:
        """These limits for a request that is a part of another one.

        Args:
            left: What is left of the other's limits, by name; what it doesn't name is without limit there.
            used: What this one has used of the same.
        """
        narrowed: dict[str, Any] = {}
        for name, amount in left.items():
            most = used.get(name, 0) + max(amount, 0)
            own = getattr(self, name)
            if own is None or most < own:
                narrowed[name] = max(int(most), LEAST.get(name, 1)) if name in _COUNTS else max(most, _NEXT_TO_NOTHING)
        return msgspec.structs.replace(self, **narrowed) if narrowed else self


def limits_of(values: Mapping[str, Any]) -> Limits:
    """Limits from a mapping of their names, as a definition has them. Raises UsageError."""
    return Limits(**values)


LEAST: Mapping[str, int] = {"tool_calls": 0, "repeat": 2}
"""The smallest value of the limits that don't start at 1."""


class LimitReached(msgspec.Struct, frozen=True):
    """A limit that a request came to. As text it says so in a sentence for people.

    Attributes:
        limit: Which.
        allowed: The limit.
        used: How much had been used: calls, tokens, US dollars, seconds, repetitions.
        detail: The tool, for `repeat`.
    """

    limit: LimitName
    allowed: float
    used: float
    detail: str = ""

    def __str__(self) -> str:
        return _SAID[self.limit].format(
            allowed=f"{self.allowed:,g}", used=f"{self.used:,g}", detail=self.detail, s="" if self.allowed == 1 else "s"
        )

    @property
    def note(self) -> str:
        """What the model is told with the question for its last answer."""
        return (
            f"[{_TOLD[self.limit]} No tool can be called any more for this request. Answer now with what you have, and "
            "say plainly what is not done or not known.]"
        )

    @property
    def refusal(self) -> str:
        """What the model is told in place of the result of a tool call."""
        return f"Error: not called: {str(self)[0].lower()}{str(self)[1:]}"


_SAID: Mapping[LimitName, str] = {
    "model_calls": "Stopped after {allowed} model call{s}, the limit (max_turns, limits.model_calls).",
    "tool_calls": "Stopped at the limit of {allowed} tool call{s} (limits.tool_calls).",
    "tokens": "Stopped after {used} tokens: the limit of {allowed} (limits.tokens) leaves no room for another call.",
    "cost_usd": "Stopped after ${used}: the limit of ${allowed} (limits.cost_usd) leaves no room for another call.",
    "seconds": "Stopped after {allowed} second{s}, the limit (limits.seconds).",
    "repeat": "Stopped because '{detail}' was called {used} times in a row with the same result (limits.repeat).",
}
_TOLD: Mapping[LimitName, str] = {
    "model_calls": "This is the last turn for this request: its limit of turns is reached.",
    "tool_calls": "The limit of tool calls for this request is reached.",
    "tokens": "The limit of tokens for this request is almost reached.",
    "cost_usd": "The limit of costs for this request is almost reached.",
    "seconds": "The time for this request is up.",
    "repeat": "You made the same tool call several times in a row, with the same result each time.",
}
