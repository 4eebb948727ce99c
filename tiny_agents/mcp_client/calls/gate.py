"""What stands between a model and the tools: each call it wants to make is shown here first, and may be refused."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from tiny_agents.mcp_client.results.results import ToolResult
    from tiny_agents.mcp_client.tools.table import Offer

logger = logging.getLogger("tiny_agents.mcp_client")


class CallRequest(msgspec.Struct, frozen=True):
    """A call that a model wants to make.

    Attributes:
        server: The server's name; "function" for a Python function.
        tool: As the server spells it.
        arguments: What the tool would get.
        read_only, destructive, open_world: What the server says of the tool; None where it says nothing. Nobody has
            checked it: a server may say anything of itself.
        path: The agents through which the call comes, where an agent is a tool of another: the outermost first.
        version: Tells this tool of this server from one that was replaced since: another server under the name, or
            another description, schema or hint of the tool.
    """

    server: str
    tool: str
    arguments: Mapping[str, Any]
    read_only: bool = False
    destructive: bool | None = None
    open_world: bool | None = None
    version: str = ""
    path: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """`server.tool`, and `agent/server.tool` for a call of an agent that is a tool."""
        return f"{self.place}.{self.tool}"

    @property
    def place(self) -> str:
        """The server, with the path to it."""
        return "/".join((*self.path, self.server))


class Verdict(msgspec.Struct, frozen=True):
    """Whether a call may be made.

    Attributes:
        reason: For the model.
        instead: What a call that is allowed comes to, in place of being made; None has it made.
    """

    allowed: bool
    reason: str = ""
    instead: ToolResult | None = None


Gate = Callable[[CallRequest], Awaitable[Verdict | bool]]
"""Decides about a call. It may take its time: a person who thinks costs no tool its time limit."""


def request_of(offer: Offer, identity: str, arguments: Mapping[str, Any]) -> CallRequest:
    tool = offer.tool
    seen = msgspec.json.encode([identity, tool.name, tool.print])
    version = hashlib.sha256(seen).hexdigest()[:32]
    return CallRequest(offer.server, tool.name, arguments, tool.read_only, tool.destructive, tool.open_world, version)


async def verdict_of(gate: Gate, request: CallRequest) -> Verdict:
    """What the gate says; one that fails lets nothing through."""
    try:
        verdict = await gate(request)
    except Exception:
        logger.exception("whether %s may be called could not be decided: it isn't", request.name)
        return Verdict(False, "whether it is allowed could not be decided")
    return verdict if isinstance(verdict, Verdict) else Verdict(bool(verdict))


def refusal(request: CallRequest, verdict: Verdict) -> str:
    """What the model is told."""
    why = f": {verdict.reason}" if verdict.reason else ""
    return f"Error: the call of '{request.tool}' was not allowed, so it was not made{why}"
