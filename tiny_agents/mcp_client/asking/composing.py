"""A turn's question to the model: as much of the conversation as it takes, and less where its server complains."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

from tiny_agents.errors import ProviderError
from tiny_agents.mcp_client.asking.turns import TurnOptions, chat_request
from tiny_agents.mcp_client.instructions import with_instructions

if TYPE_CHECKING:
    from tiny_agents.inference.streams import AsyncChatStream
    from tiny_agents.inference.types.chat import ChatCompletionInputTool, ChatCompletionStreamOutput
    from tiny_agents.mcp_client.asking.asking import Seats
    from tiny_agents.mcp_client.asking.refusals import ChatRequest
    from tiny_agents.mcp_client.observing.observing import ModelCall, Observing

PROBED_CHUNKS = 2
"""How much of an answer shows whether it begins with a tool call."""


async def ask(
    seats: Seats,
    observing: Observing,
    messages: MutableSequence[Any],
    tools: Sequence[ChatCompletionInputTool],
    options: TurnOptions,
    *,
    instructions: str | None,
    exit_names: Collection[str],
) -> tuple[AsyncChatStream, ChatRequest, ModelCall]:
    """Ask the model for a turn; returns what was sent, too.

    Args:
        messages: The whole conversation, of which `options.view` decides what is sent.
        instructions: Added to the system prompt.
    """
    view: Sequence[Any] = messages
    if options.view is not None:
        view = await options.view.of(messages, tools, instructions)
    while True:
        request = seats.remembered(chat_request(with_instructions(view, instructions), tools, options, exit_names))
        call = observing.model_call(
            options.within, params=request.params, messages=request.messages, tools=request.tools
        )
        try:
            return await seats.ask(messages, request, call), request, call
        except ProviderError as error:
            shorter = None
            if options.view is not None:
                shorter = await options.view.shorter(messages, tools, instructions, error)
            if shorter is None:
                raise
            view = shorter


async def first(stream: AsyncChatStream, count: int = PROBED_CHUNKS) -> AsyncIterator[ChatCompletionStreamOutput]:
    """The first chunks of an answer; the rest stays in the stream."""
    while count and (chunk := await anext(stream, None)) is not None:
        yield chunk
        count -= 1
