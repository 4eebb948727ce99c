"""What stands before the calls of an agent that is a tool: its own rules and those of the agents above it."""

from __future__ import annotations

from typing import Protocol, TypeGuard, runtime_checkable

import msgspec
from msgspec.structs import replace

from tiny_agents.agent.permissions.rules import Decision, Ruling
from tiny_agents.mcp_client.calls.gate import CallRequest, Gate, Verdict, verdict_of

_STRICTNESS: dict[Decision, int] = {"allow": 0, "ask": 1, "deny": 2}


@runtime_checkable
class Ruled(Protocol):
    """A gate that goes by rules, and asks a person where they leave a call to one."""

    def ruling(self, request: CallRequest) -> Ruling: ...

    async def settle(self, request: CallRequest, ruling: Ruling) -> Verdict: ...


class InnerGate(msgspec.Struct, frozen=True):
    """The strictest ruling counts, and the outermost gate asks: it is shown the way to the call.

    Attributes:
        agent: The name of the tool that the agent is.
        own: The agent's own gate.
        outer: That of the agent whose tool it is.
    """

    agent: str
    own: Gate | None
    outer: Gate | None

    async def __call__(self, request: CallRequest) -> Verdict:
        return await self.settle(request, self.ruling(request))

    def ruling(self, request: CallRequest) -> Ruling:
        rulings = [Ruling("allow")]
        if _is_ruled(self.own):
            rulings.append(self.own.ruling(request))
        if _is_ruled(self.outer):
            rulings.append(self.outer.ruling(self._seen(request)))
        return max(rulings, key=lambda ruling: (_STRICTNESS[ruling.decision], ruling.unattended == "deny"))

    async def settle(self, request: CallRequest, ruling: Ruling) -> Verdict:
        if ruling.decision == "deny":
            return Verdict(False, ruling.why)
        if self.own is not None and not _is_ruled(self.own):
            verdict = await verdict_of(self.own, request)
            if not verdict.allowed:
                return verdict
        if _is_ruled(self.outer):
            return await self.outer.settle(self._seen(request), ruling)
        if self.outer is not None:
            return await verdict_of(self.outer, self._seen(request))
        if _is_ruled(self.own):
            return await self.own.settle(request, ruling)
        return Verdict(True)

    def _seen(self, request: CallRequest) -> CallRequest:
        """The call as the outer gate sees it."""
        return replace(request, path=(self.agent, *request.path))


def inner_gate(agent: str, own: Gate | None, outer: Gate | None) -> Gate | None:
    """The gate of an agent that is a tool; None where nothing has to be decided."""
    return InnerGate(agent, own, outer) if own is not None or outer is not None else None


def _is_ruled(gate: Gate | None) -> TypeGuard[Ruled]:
    return isinstance(gate, Ruled)
