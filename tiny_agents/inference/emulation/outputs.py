"""Answers in the shape of the chat API, so that nothing above knows that a tool API was missing.

Every answer carries one undeclared field, `tiny_agents`: `answer_from` says whose sentence it is ("model", "tool" for a
tool's own result, "refusal"), `model` which model.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tiny_agents.inference.types.chat import (
    ChatCompletionOutput,
    ChatCompletionOutputComplete,
    ChatCompletionOutputFunctionDefinition,
    ChatCompletionOutputMessage,
    ChatCompletionOutputToolCall,
)

AnswerFrom = Literal["model", "tool", "refusal"]
FIELD = "tiny_agents"


def text_answer(
    text: str, answer_from: AnswerFrom, model: str | None, finish_reason: str = "stop"
) -> ChatCompletionOutput:
    message = ChatCompletionOutputMessage(role="assistant", content=text)
    return _output(message, finish_reason, answer_from, model)


def call_answer(name: str, arguments: Mapping[str, Any], number: int, model: str | None) -> ChatCompletionOutput:
    """One tool call. `number` counts the calls of the conversation, so that no two of it share an id."""
    call = ChatCompletionOutputToolCall(
        id=f"call{number:05d}",  # nine letters and digits: some servers take nothing else
        type="function",
        function=ChatCompletionOutputFunctionDefinition(name=name, arguments=msgspec.json.encode(arguments).decode()),
    )
    return _output(ChatCompletionOutputMessage(role="assistant", tool_calls=[call]), "tool_calls", "model", model)


def _output(
    message: ChatCompletionOutputMessage, finish_reason: str, answer_from: AnswerFrom, model: str | None
) -> ChatCompletionOutput:
    output = ChatCompletionOutput(
        id="chatcmpl-emulated",
        object="chat.completion",
        created=int(time.time()),
        model=model,
        choices=[ChatCompletionOutputComplete(index=0, message=message, finish_reason=finish_reason)],
    )
    output[FIELD] = {"answer_from": answer_from, "model": model}
    return output
