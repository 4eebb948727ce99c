"""The calls of a model's answer are carried out, and what came of them is put into words for the model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tiny_agents.errors import ServerError
from tiny_agents.mcp_client.calls.calling import CALLING, Calling
from tiny_agents.mcp_client.calls.coerce import coerced
from tiny_agents.mcp_client.calls.gate import Gate, refusal, request_of, verdict_of
from tiny_agents.mcp_client.calls.planning import NOT_MADE, PlannedCall
from tiny_agents.mcp_client.events import ToolAnswered
from tiny_agents.mcp_client.observing.observing import TOOL_ERROR, Observing, Operation, ToolCall
from tiny_agents.mcp_client.results.links import READ_NOTE, Links
from tiny_agents.mcp_client.text import encodable
from tiny_agents.mcp_client.tools.functions import Function, Functions
from tiny_agents.mcp_client.tools.table import FUNCTIONS, READ_LINK, READ_ON, SEARCH_TOOLS, Offer

if TYPE_CHECKING:
    from tiny_agents.inference.types.chat import ChatCompletionInputMessage
    from tiny_agents.mcp_client.calls.slots import Slots
    from tiny_agents.mcp_client.events import ServerEvent
    from tiny_agents.mcp_client.results.results import ToolResult
    from tiny_agents.mcp_client.results.spill import Spill
    from tiny_agents.mcp_client.tools.shelf import Hand

UNASKED = frozenset({READ_ON, SEARCH_TOOLS})
"""Tools of our own that do nothing but show what the model may see anyway: nobody is asked about them."""


class Source(Protocol):
    """Where tools come from: a connection, or the functions."""

    @property
    def identity(self) -> str: ...

    async def call_tool(
        self, name: str, arguments: dict[str, Any], *, emit: Callable[[ServerEvent], None] | None = None
    ) -> ToolResult: ...

    def for_model(self, result: ToolResult) -> ToolResult: ...


class Told(msgspec.Struct, frozen=True, gc=False):
    """The answer to a call: text for its tool message, and parts for a message that follows."""

    text: str
    media: Sequence[dict[str, Any]] = ()


class Answering(msgspec.Struct):
    """Answers calls.

    Attributes:
        source: Where a tool is to be called.
        missing: Why there is no tool of a name, among those that are offered.
        gate: Is asked before each call; None lets all through.
        addresses: Host and port of a remote server, for those who observe.
        links: What results link to.
        has_resources: Whether a server can be asked to read its links.
        slots: How many run at once.
        emit: Tells those who listen to the conversation what happens.
    """

    source: Callable[[Offer], Source]
    missing: Callable[[str, Collection[str]], str]
    media: Callable[[ToolResult], Sequence[dict[str, Any]]]
    functions: Functions
    spill: Spill
    links: Links
    has_resources: Callable[[str], bool]
    slots: Slots
    gate: Gate | None
    observing: Observing
    addresses: Callable[[str], tuple[str, int]]
    emit: Callable[[ServerEvent], None]

    def runs_elsewhere(self, call: PlannedCall, hand: Hand) -> bool:
        """Whether a call is a server's alone: no gate and no function, which may do anything to the task they run in."""
        offer = hand.find(call.name)
        return self.gate is None and offer is not None and offer.server != FUNCTIONS

    async def answer(
        self,
        call: PlannedCall,
        answer: ChatCompletionInputMessage,
        hand: Hand,
        within: Operation | None = None,
        request: Any = None,
    ) -> Told:
        """What the model is told about a call; never an exception for what a model, tool or server did wrong.

        Args:
            answer: The message that stands for it until then: it says that the call may have run, and is corrected where
                it certainly has not.
            hand: The tools of the turn.
            within: What the call is a part of, for those who observe.
            request: What the turn belongs to.
        """
        if call.name in hand.exit_names:
            return Told("")
        if not self.runs_elsewhere(call, hand):
            CALLING.set(
                Calling(call.id, request, self.gate, self.emit)
            )  # this runs in a task of its own, so nobody else sees it
        offer = hand.find(call.name)
        observed = self.observing.tool_call(within, name=call.name, call_id=call.id, arguments=call.arguments)
        if offer is not None:
            observed.server, observed.tool = offer.server, offer.tool.name
            observed.address = self.addresses(offer.server)
        with observed.going_on():
            told = await self._carry_out(call, answer, offer, hand.offers, observed)
            observed.text = told.text
        return told

    async def _carry_out(
        self,
        call: PlannedCall,
        answer: ChatCompletionInputMessage,
        offer: Offer | None,
        offered: Collection[str],
        observed: ToolCall,
    ) -> Told:
        if call.problem is not None:
            observed.came_to("not_run")
            return Told(encodable(call.problem))
        if offer is None:
            observed.came_to("not_run")
            return Told(encodable(f"Error: {self.missing(call.name, offered)}"))
        source = self.source(offer)
        arguments = coerced(call.arguments, offer.tool.parameters)
        try:
            decided = await self._decided(offer, source.identity, arguments)
            if isinstance(decided, str):
                observed.waited()
                observed.came_to("denied")
                return Told(encodable(decided))
            await self.slots.take()
            observed.waited()
        except asyncio.CancelledError:
            answer.content = NOT_MADE
            raise
        try:
            result = decided or source.for_model(await source.call_tool(offer.tool.name, arguments, emit=self.emit))
        except ServerError as error:
            observed.came_to("failed", error)
            return Told(encodable(f"Error: {error}"))
        finally:
            self.slots.free()
        if result.is_error:
            observed.came_to("error", TOOL_ERROR)
        self.emit(ToolAnswered(call.id, offer.server, offer.tool.name, result))
        text = self.spill.told(result)
        if not self.spill.is_empty:
            self._offer(self.spill.read_on, READ_ON)
        if offer.server != FUNCTIONS and self.has_resources(offer.server) and self.links.note(offer.server, result):
            self._offer(self.links.read_resource_link, READ_LINK)
            text = f"{text}\n{READ_NOTE}"
        return Told(encodable(text), self.media(result))

    def _offer(self, function: Function, name: str) -> None:
        """Offer a tool of ours from the next turn on."""
        if not self.functions.has(name):
            self.functions.add(function, name, None, own=True)

    async def _decided(self, offer: Offer, identity: str, arguments: Mapping[str, Any]) -> ToolResult | str | None:
        """What the model is told of a call that is refused, or what it comes to in place of being made; None has it made."""
        if self.gate is None or (offer.server == FUNCTIONS and offer.tool.name in UNASKED):
            return None
        request = request_of(offer, identity, arguments)
        verdict = await verdict_of(self.gate, request)
        return verdict.instead if verdict.allowed else refusal(request, verdict)


async def settle(answers: Sequence[ChatCompletionInputMessage], running: Sequence[asyncio.Task[Told]]) -> None:
    """End the calls that nobody waits for any more, and keep the results of those that had come to their end."""
    for task in running:
        task.cancel()
    try:
        if running:
            await asyncio.wait(running)
    finally:
        for answer, task in zip(answers, running, strict=True):
            if task.done() and not task.cancelled() and task.exception() is None:
                answer.content = task.result().text
