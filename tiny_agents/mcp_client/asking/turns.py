"""How a single turn is to be done, beyond the messages and tools. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec.structs import replace

from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.asking.refusals import ChatRequest
from tiny_agents.mcp_client.tools.table import name_of

if TYPE_CHECKING:
    from tiny_agents.errors import ProviderError
    from tiny_agents.inference.fold import ChatFold
    from tiny_agents.inference.types.chat import ChatCompletionInputTool
    from tiny_agents.mcp_client.calls.planning import PlannedCall
    from tiny_agents.mcp_client.events import AtHand
    from tiny_agents.mcp_client.observing.observing import Operation

Offered = Literal["auto", "none", "absent"]


class Asked(msgspec.Struct, frozen=True, gc=False):
    """What the model was asked, and what came of it, whole or not.

    Attributes:
        messages: As they were sent.
        fold: The answer, with what the server counted.
    """

    messages: Sequence[Any]
    tools: Sequence[ChatCompletionInputTool]
    fold: ChatFold


class View(Protocol):
    """Decides what is sent of a conversation that may be longer than its model takes."""

    async def of(self, messages: Sequence[Any], tools: Sequence[Any], instructions: str | None) -> Sequence[Any]:
        """What of `messages` is sent, beside `tools` and with `instructions` added to the system prompt."""

    async def shorter(
        self, messages: Sequence[Any], tools: Sequence[Any], instructions: str | None, error: ProviderError
    ) -> Sequence[Any] | None:
        """What is sent in place of what the server refused; None where the error is to be raised."""


class TurnOptions(msgspec.Struct, frozen=True):
    """How a turn is to be done.

    Attributes:
        params: Further arguments of the chat completion: `temperature` and the like.
        tools: "auto" offers them; "none" shows them and forbids calls (those that come all the same are refused); "absent"
            sends none, for servers that take no `response_format` beside them.
        note: Said to the model at the end of what is sent; it doesn't stay in the messages.
        refuse: Why a call is not to be carried out, in a sentence for the model; None lets it run.
        asked: Told once the answer is there, or has broken off.
        within: What the turn is a part of, for those who observe.
        view: What is sent of the messages; None sends all of them.
        request: What the turn is a part of; functions that are called find it in `CALLING`.
        at_hand: Told which chunks have come.
    """

    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    tools: Offered = "auto"
    note: str | None = None
    refuse: Callable[[PlannedCall], str | None] = lambda _: None
    asked: Callable[[Asked], None] = lambda _: None
    within: Operation | None = None
    view: View | None = None
    request: Any = None
    at_hand: AtHand | None = None


NO_TOOLS_NOW = "Error: no tools can be called any more for this request, so this one was not called."


def chat_request(
    messages: Sequence[Any],
    tools: Sequence[ChatCompletionInputTool],
    options: TurnOptions,
    exit_names: Collection[str] = (),
) -> ChatRequest:
    """What is sent for a turn."""
    params = {"tool_choice": "none", **options.params} if options.tools == "none" and tools else options.params
    sent = () if options.tools == "absent" else tools
    tools_matter = any(name_of(tool) not in exit_names for tool in sent)
    return ChatRequest(with_note(messages, options.note), sent, params, tools_matter)


def allowed(call: PlannedCall, options: TurnOptions, exit_names: Collection[str]) -> PlannedCall:
    """`call`, with the reason if it is not to be carried out. Tools that end the turn are never refused."""
    if call.problem is not None or call.name in exit_names:
        return call
    problem = options.refuse(call) if options.tools == "auto" else NO_TOOLS_NOW
    return call if problem is None else replace(call, problem=problem)


def with_note(messages: Sequence[Any], note: str | None) -> Sequence[Any]:
    """`messages` with `note` at the end of the last one, so that roles stay in the order that strict servers want."""
    if note is None or not messages:
        return messages
    last = {key: value for key, value in to_builtins(messages[-1]).items() if value is not None}
    content = last.get("content")
    if isinstance(content, list):
        last["content"] = [*content, {"type": "text", "text": note}]
    else:
        last["content"] = f"{content}\n\n{note}" if content else note
    return [*messages[:-1], last]
