"""The verbs of `Agent` that change what a conversation is had with, between requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tiny_agents.agent.sessions.requests import requests_in, text_of
from tiny_agents.agent.sessions.unsaved import Unsaved
from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage

if TYPE_CHECKING:
    from tiny_agents.agent.context.conversation import Context
    from tiny_agents.agent.loop.limits import Limits
    from tiny_agents.agent.loop.result import AgentResult
    from tiny_agents.agent.loop.rules import StopReason
    from tiny_agents.agent.loop.usage import Usage
    from tiny_agents.agent.sessions.session import Session
    from tiny_agents.mcp_client.asking.asking import Seats
    from tiny_agents.mcp_client.calls.answering import Answering
    from tiny_agents.mcp_client.calls.gate import Gate


class Steering:
    """Another model, another system prompt, another conversation: `Agent` has these from here."""

    messages: list[Any]
    session: Session | None
    limits: Limits
    usage: Usage
    result: AgentResult | None
    stop_reason: StopReason | None
    context: Context
    payload_model: str | None
    _model_names: list[str]
    _saving: Session | Unsaved
    _requests: list[Any]
    _seats: Seats
    _answering: Answering

    @property
    def model_name(self) -> str:
        """The model that is asked at the moment."""
        return self._seats.now.name

    def use_model(self, name: str) -> None:
        """Ask another model, at the same place, from the next request on; what fallbacks there are stays.

        Raises:
            UsageError: A run is going on; the embedded model answers; or a limit on costs can't be kept with it.
        """
        self._require_rest()
        first = self._seats.all[0]
        if first.client.settings.provider == "local":
            raise UsageError("The embedded model can't be exchanged for another: start anew, with --model.")
        before = first.model
        first.model = name
        try:
            self._price_known(self.limits)
        except UsageError:
            first.model = before
            raise
        first.refused.clear()
        self.payload_model = self._model_names[0] = name  # so do servers that ask for a model by its name
        self._seats.start_over()

    @property
    def takes_images(self) -> bool:
        """Whether images can be sent to the model, as far as that is known."""
        return self._seats.now.images is not False

    @property
    def system_prompt(self) -> str:
        """What stands before the conversation; empty where nothing does."""
        first = self.messages[0] if self.messages else None
        return text_of(first) if first is not None and first.get("role") == "system" else ""

    def set_system_prompt(self, text: str) -> None:
        """Replace the system prompt, or put one before the conversation.

        Raises:
            UsageError: A run is going on.
        """
        self._require_rest()
        prompt = ChatCompletionInputMessage(role="system", content=text)
        has_one = bool(self.messages) and self.messages[0].get("role") == "system"
        self.messages[: 1 if has_one else 0] = [prompt]

    async def take_up(self, session: Session | None) -> None:
        """Leave this conversation, and go on with that of `session`; None begins one that isn't saved.

        The system prompt stays. A session that was left can be resumed.

        Raises:
            UsageError: A run is going on.
        """
        self._require_rest()
        await self._saving.close()
        system = [message for message in self.messages[:1] if message.get("role") == "system"]
        self.session = session
        self._saving = session or Unsaved()
        self.messages = session.history(system) if session is not None else system
        self.context.restore(session.context if session is not None else None)
        self.context.tokens = 0
        self._requests = requests_in(self.messages)

    def take_over(self, other: Self, *, keeps_session: bool = True) -> None:
        """Go on with the conversation of `other`, which has none any more: end it.

        The system prompt stays this agent's. What was used and what can be taken back come along.

        Args:
            keeps_session: Whether it is saved as it was before.

        Raises:
            UsageError: A run is going on.
        """
        self._require_rest()
        other._require_rest()
        system = self.system_prompt
        self.messages, other.messages = other.messages, []
        self.set_system_prompt(system)
        self._requests, other._requests = other._requests, []
        if keeps_session:
            self.session, self._saving = other.session, other._saving
            other.session, other._saving = None, Unsaved()
        self.context.restore(other.context.saved())
        self.usage, self.result, self.stop_reason = other.usage, other.result, other.stop_reason

    @property
    def can_roll_back(self) -> bool:
        """Whether `rollback` and `retry` have a request to take back."""
        return bool(self._requests)

    @property
    def gate(self) -> Gate | None:
        """What is asked before each call that the model makes."""
        return self._answering.gate

    def _require_rest(self) -> None:
        raise NotImplementedError

    def _price_known(self, limits: Limits) -> None:
        raise NotImplementedError
