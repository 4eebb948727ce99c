"""Whose run an iteration is, for those who get nothing but the iteration, such as a display."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakKeyDictionary

import msgspec

if TYPE_CHECKING:
    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.loop.result import AgentResult
    from tiny_agents.mcp_client.events import AtHand

Items = TypeVar("Items", bound=AsyncGenerator[Any, None])


class Run(msgspec.Struct, frozen=True, gc=False):
    """A run of an agent."""

    _agent: Agent
    _at_hand: AtHand
    _has_events: bool

    def result(self) -> AgentResult | None:
        """What came of it, once it is over."""
        return self._agent.result

    def with_events(self, items: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """The same iteration with the events of the servers among its items."""
        return items if self._has_events else self._agent._events.beside(items, self._at_hand)


_RUNS: WeakKeyDictionary[AsyncGenerator[Any, None], Run] = WeakKeyDictionary()


def known_as(items: Items, run: Run) -> Items:
    """`items`, of which `run_of` knows from now on as long as they exist."""
    _RUNS[items] = run
    return items


def run_of(items: object) -> Run | None:
    """The run that `Agent.run` returned as `items`; None if they come from elsewhere."""
    return _RUNS.get(items) if isinstance(items, AsyncGenerator) else None
