"""What the messages of a conversation come to in tokens, about. Pure.

Each message is estimated once, when it is first seen, however often it is asked for. An estimate is only that: what the
server counted for the last call corrects all of them by a factor.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from tiny_agents.agent.loop.usage import estimated_tokens
from tiny_agents.inference.encoding import Settled
from tiny_agents.mcp_client.tools.table import same_objects

FACTORS = (0.25, 6.0)
"""The least and the most by which an estimate is corrected: beyond that, something else was counted."""


class Tally:
    """Estimates of the messages of one conversation, which usually only grows."""

    def __init__(self) -> None:
        self._objects: list[Any] = []
        self._sums: list[int] = [0]  # of the messages before each position

    def follow(self, messages: Sequence[Any], start: int = 0) -> None:
        """Bring the estimates up to date: what is new, and what its owner replaced or cut off from `start` on.

        Before `start` only the ends are looked at, so that what it takes doesn't grow with what is no longer sent.
        """
        kept = self._same_until(messages, start)
        del self._objects[kept:], self._sums[kept + 1 :]
        for message in messages[kept:]:
            self._objects.append(message)
            self._sums.append(self._sums[-1] + estimated_tokens((message,)))

    def _same_until(self, messages: Sequence[Any], start: int) -> int:
        known = self._objects
        if not known or not messages or messages[0] is not known[0]:
            return 0
        start = min(start, len(messages), len(known))
        if start and messages[start - 1] is not known[start - 1]:
            start = 0
        end = min(len(messages), len(known))
        seen, there = known[start:end], messages[start:end]
        if seen == there:  # the very same, which takes a nanosecond each, or equal ones
            return end
        return start + next(index for index, same in enumerate(map(operator.is_, seen, there)) if not same)

    def between(self, start: int, end: int) -> int:
        """The estimate of the messages from `start` to before `end`."""
        return self._sums[end] - self._sums[min(start, end)]


class ToolTally:
    """Estimates of tools, each made once as long as the tool is sent."""

    def __init__(self) -> None:
        self._known: dict[
            int, tuple[Any, int]
        ] = {}  # by identity; the tool is held, so that its identity stays its own
        self._last: Sequence[Any] = ()
        self._sum = 0

    def of(self, tools: Sequence[Any]) -> int:
        if type(tools) is Settled:
            if tools.tokens is None:
                tools.tokens = estimated_tokens(tools)
            return tools.tokens
        if not same_objects(tools, self._last):
            known = self._known
            self._known = {id(tool): known.get(id(tool)) or (tool, estimated_tokens((tool,))) for tool in tools}
            self._last, self._sum = list(tools), sum(tokens for _, tokens in self._known.values())
        return self._sum


def corrected(factor: float) -> float:
    """A factor within what can be."""
    return min(max(factor, FACTORS[0]), FACTORS[1])
