"""Which call of a model a Python function is carrying out, for functions that want to know."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiny_agents.mcp_client.calls.gate import Gate
    from tiny_agents.mcp_client.events import ServerEvent


class Calling(msgspec.Struct, frozen=True):
    """A tool call that is being carried out.

    Attributes:
        id: Of the call, as its answer refers to it.
        request: What the turn belongs to, as its `TurnOptions` say.
        gate: What the call had to pass.
        emit: Tells those who listen to the conversation what happens meanwhile.
    """

    id: str
    request: Any = None
    gate: Gate | None = None
    emit: Callable[[ServerEvent], None] | None = None


CALLING: ContextVar[Calling | None] = ContextVar("tiny_agents_calling", default=None)
"""None where no model called."""
