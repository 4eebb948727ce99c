"""`PermissionGate`: the rules applied to a call, and a person asked where they leave it to one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.agent.permissions.rules import Permissions, Ruling
from tiny_agents.mcp_client.calls.gate import CallRequest, Verdict

UNATTENDED = (
    "it needs the user's permission, which can't be asked for here. The user can give it beforehand: in the agent's "
    "`permissions`, or with --yes"
)


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person says to a call.

    Attributes:
        answer: "once" is for this call, "session" for all of this tool while the program runs, "always" for this agent's
            calls of the tool from now on.
        reason: With a "no", for the model.
    """

    answer: Literal["once", "session", "always", "no"]
    reason: str = ""


Approve = Callable[[CallRequest], Awaitable[Approval | bool]]
"""Asks a person. Cancelled where the turn ends meanwhile; one that raises counts as a no."""


class PermissionGate:
    """A `Gate` by rules: `Agent(..., gate=PermissionGate(Permissions.of(default="ask"), ask_me))`.

    What was allowed for longer holds for the tool as it was then: one whose description, schemas or hints have changed, or
    that another server offers under the same name, is asked about again.

    Args:
        permissions: The rules.
        approve: Asks a person, one call at a time; None where nobody can be asked.
        answers: Where "always" is kept; None has it hold like "session".
    """

    def __init__(
        self, permissions: Permissions, approve: Approve | None = None, answers: PermissionAnswers | None = None
    ) -> None:
        self.permissions = permissions
        self._approve = approve
        self._answers = answers
        self._session: set[tuple[str, str]] = set()
        self._one_at_a_time = asyncio.Lock()

    @property
    def allowed_now(self) -> list[str]:
        """Tools that a person allowed while this program runs."""
        return sorted({name for name, _ in self._session})

    async def __call__(self, request: CallRequest) -> Verdict:
        return await self.settle(request, self.ruling(request))

    def ruling(self, request: CallRequest) -> Ruling:
        """What the rules say."""
        return self.permissions.decide(request)

    async def settle(self, request: CallRequest, ruling: Ruling) -> Verdict:
        """Carry a ruling out: where it leaves the call to a person, ask."""
        if ruling.decision != "ask":
            return Verdict(ruling.decision == "allow", ruling.why)
        if self._is_known(request):
            return Verdict(True)
        if self._approve is None:
            return Verdict(ruling.unattended == "allow", UNATTENDED)
        async with self._one_at_a_time:
            if self._is_known(request):  # the answer to the call before was meant for this one too
                return Verdict(True)
            return self._noted(request, await self._approve(request))

    def _is_known(self, request: CallRequest) -> bool:
        if (request.name, request.version) in self._session:
            return True
        return self._answers is not None and self._answers.allows(request)

    def _noted(self, request: CallRequest, said: Approval | bool) -> Verdict:
        approval = said if isinstance(said, Approval) else Approval("once" if said is True else "no")
        if approval.answer == "no":
            return Verdict(False, f"the user said no: {approval.reason}" if approval.reason else "the user said no")
        if approval.answer in ("session", "always"):
            self._session.add((request.name, request.version))
        if approval.answer == "always" and self._answers is not None:
            self._answers.remember(request)
        return Verdict(True)
