"""A whole answer as the chunks that a stream of it would have had. Pure."""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.types.chat import (
    ChatCompletionOutput,
    ChatCompletionOutputComplete,
    ChatCompletionOutputToolCall,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputChoice,
    ChatCompletionStreamOutputDelta,
    ChatCompletionStreamOutputDeltaToolCall,
    ChatCompletionStreamOutputFunction,
    ChatCompletionStreamOutputUsage,
)
from tiny_agents.inference.types.odd_chunks import mend
from tiny_agents.inference.types.record import Record, parse


def chunks_of(output: ChatCompletionOutput) -> list[ChatCompletionStreamOutput]:
    """Chunks that say the same as `output`: for callers who want a stream of an answer that came as one document.

    A chunk per choice with what the model said, one with why it stopped; usage, and fields that we don't declare, are on
    the last.
    """
    chunks = []
    choices: list[Any] = output.choices  # records keep what isn't of the declared type
    for number, choice in enumerate(one for one in choices if isinstance(one, ChatCompletionOutputComplete)):
        index = choice.index if choice.index is not None else number
        chunks.append(_chunk(output, index, _delta(choice), None))
        chunks.append(_chunk(output, index, ChatCompletionStreamOutputDelta(), choice.finish_reason or "stop"))
    if not chunks:
        chunks.append(_chunk(output, 0, ChatCompletionStreamOutputDelta(), None))
        chunks[0].choices = []
    for chunk in chunks:
        mend(chunk)
    if isinstance(output.usage, Record):
        chunks[-1].usage = parse(ChatCompletionStreamOutputUsage, output.usage.to_dict())
    for name in set(output.keys()) - set(chunks[-1].keys()):
        chunks[-1][name] = output[name]
    return chunks


def _chunk(
    output: ChatCompletionOutput,
    index: int,
    delta: ChatCompletionStreamOutputDelta,
    finish_reason: str | None,
) -> ChatCompletionStreamOutput:
    return ChatCompletionStreamOutput(
        choices=[ChatCompletionStreamOutputChoice(delta=delta, index=index, finish_reason=finish_reason)],
        created=output.created,
        id=output.id,
        model=output.model,
        system_fingerprint=output.system_fingerprint,
        object="chat.completion.chunk",
    )


def _delta(choice: ChatCompletionOutputComplete) -> ChatCompletionStreamOutputDelta:
    message = choice.message
    calls = [
        ChatCompletionStreamOutputDeltaToolCall(
            id=call.id,
            index=index,
            type=call.type or "function",
            function=_function(call),
            extra_content=call.extra_content,
        )
        for index, call in enumerate(_calls(message.tool_calls))
    ]
    return ChatCompletionStreamOutputDelta(
        role=message.role or "assistant",
        content=message.content or message.refusal,
        reasoning=message.reasoning,
        reasoning_content=message.reasoning_content,
        reasoning_details=message.reasoning_details,
        thinking_blocks=message.thinking_blocks,
        refusal=message.refusal,
        tool_calls=calls or None,
    )


def _calls(found: object) -> list[ChatCompletionOutputToolCall]:
    if isinstance(found, dict):
        found = [parse(ChatCompletionOutputToolCall, found)]
    return [call for call in found if isinstance(call, ChatCompletionOutputToolCall)] if isinstance(found, list) else []


def _function(call: ChatCompletionOutputToolCall) -> ChatCompletionStreamOutputFunction:
    return ChatCompletionStreamOutputFunction(name=call.function.name, arguments=call.function.arguments)
