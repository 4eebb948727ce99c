"""The chat-completions API as records, under the names huggingface_hub gave them.

Input types are what a caller may hand over in place of plain dictionaries; output types are what comes back. Every output
field is optional, because servers differ in what they leave out.
Source: OpenAI API reference, "Chat" (create, chunk object); the text-generation-inference schema for the names.
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from tiny_agents.inference.types.record import UNFIT, Path, Record, decoder, link, parse

T = TypeVar("T")

# ---------------------------------------------------------------- what is asked


class ChatCompletionInputURL(Record):
    url: str
    detail: str | None = None


ChatCompletionInputMessageChunkType = Literal["text", "image_url"]


class ChatCompletionInputMessageChunk(Record):
    """One part of a multimodal message."""

    type: str
    image_url: ChatCompletionInputURL | None = None
    text: str | None = None


class ChatCompletionInputFunctionDefinition(Record):
    """A function: in a tool its `parameters` (JSON Schema), in a tool call its `arguments` (JSON text)."""

    name: str
    parameters: Any = None
    description: str | None = None
    arguments: str | None = None
    strict: bool | None = None


def _function() -> str:
    return "function"


_TEXT = (str, NoneType)


class ChatCompletionInputToolCall(Record):
    function: ChatCompletionInputFunctionDefinition
    id: str
    type: str = msgspec.field(default_factory=_function)  # a factory, because a default would not be sent
    extra_content: dict[str, Any] | None = None

    def _is_plain(self) -> bool:
        function = self.function
        return (
            self._source is None
            and type(function) is ChatCompletionInputFunctionDefinition
            and function._source is None
            and type(function.name) is type(self.id) is str
            and function.parameters is None
        )

    def _is_text(self) -> bool:
        function = self.function
        return (
            self._is_plain()
            and self.extra_content is None
            and type(self.type) is str
            and type(function.arguments) in _TEXT
            and type(function.description) in _TEXT
            and function.strict is None
        )


class ChatCompletionInputMessage(Record):
    """One message of a conversation, as it is kept in a history and sent to a model.

    `content` is text, or a list of parts (`ChatCompletionInputMessageChunk` or dictionaries) for multimodal messages.
    A message with role "tool" answers the call `tool_call_id`. What a model thought goes back to it in the fields that it
    came in (`reasoning`, `reasoning_content`, `reasoning_details`, `thinking_blocks`, and `extra_content` of tool calls).
    """

    role: str
    content: list[Any] | str | None = None
    name: str | None = None
    tool_calls: list[ChatCompletionInputToolCall] | None = None
    tool_call_id: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Any] | None = None
    thinking_blocks: list[Any] | None = None

    def _repr_html_(self) -> str:
        from tiny_agents.safe_html import message_html

        return message_html(self)

    def _is_plain(self) -> bool:
        if self._source is not None or type(self.content) not in (str, NoneType):
            return False
        return self.tool_calls is None or all(
            type(call) is ChatCompletionInputToolCall and call._is_plain() for call in self.tool_calls
        )

    def _is_text(self) -> bool:
        return (
            self._source is None
            and type(self.role) is str
            and type(self.content) in _TEXT
            and type(self.name) in _TEXT
            and type(self.tool_call_id) in _TEXT
            and type(self.reasoning) in _TEXT
            and type(self.reasoning_content) in _TEXT
            and self.reasoning_details is self.thinking_blocks is None
            and all(type(call) is ChatCompletionInputToolCall and call._is_text() for call in self.tool_calls or ())
        )


class ChatCompletionInputJSONSchema(Record):
    name: str
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class ChatCompletionInputResponseFormatText(Record):
    type: Literal["text"] = "text"


class ChatCompletionInputResponseFormatJSONSchema(Record):
    json_schema: ChatCompletionInputJSONSchema
    type: Literal["json_schema"] = "json_schema"


class ChatCompletionInputResponseFormatJSONObject(Record):
    type: Literal["json_object"] = "json_object"


ChatCompletionInputGrammarType = (
    ChatCompletionInputResponseFormatText
    | ChatCompletionInputResponseFormatJSONSchema
    | ChatCompletionInputResponseFormatJSONObject
)


class ChatCompletionInputStreamOptions(Record):
    include_usage: bool | None = None


class ChatCompletionInputFunctionName(Record):
    name: str


class ChatCompletionInputToolChoiceClass(Record):
    function: ChatCompletionInputFunctionName
    type: str = "function"


ChatCompletionInputToolChoiceEnum = Literal["auto", "none", "required"]


class ChatCompletionInputTool(Record):
    """A tool a model may call; only functions exist."""

    function: ChatCompletionInputFunctionDefinition
    type: str = msgspec.field(default_factory=_function)

    def _repr_html_(self) -> str:
        from tiny_agents.safe_html import tool_html

        return tool_html(self)


# ---------------------------------------------------------------- what comes back, whole


class ChatCompletionOutputTopLogprob(Record):
    logprob: float | None = None
    token: str | None = None


class ChatCompletionOutputLogprob(Record):
    logprob: float | None = None
    token: str | None = None
    top_logprobs: list[ChatCompletionOutputTopLogprob] | None = None


class ChatCompletionOutputLogprobs(Record):
    content: list[ChatCompletionOutputLogprob] | None = None


class ChatCompletionOutputFunctionDefinition(Record):
    """The function a model calls. `arguments` is JSON text; servers that send an object are read too."""

    arguments: str | dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None


class ChatCompletionOutputToolCall(Record):
    function: ChatCompletionOutputFunctionDefinition = msgspec.field(
        default_factory=ChatCompletionOutputFunctionDefinition
    )
    id: str | None = None
    type: str | None = None
    extra_content: dict[str, Any] | None = None


class ChatCompletionOutputMessage(Record):
    """What the model said. `parsed` is the object that `chat.completions.parse` made of it; it isn't part of the message."""

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Any] | None = None
    thinking_blocks: list[Any] | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ChatCompletionOutputToolCall] | None = None
    _parsed: Any = msgspec.field(default=None, name=" parsed")

    @property
    def parsed(self) -> Any:
        return self._parsed

    @parsed.setter
    def parsed(self, value: Any) -> None:
        self._parsed = value


class ChatCompletionOutputComplete(Record):
    finish_reason: str | None = None
    index: int | None = None
    message: ChatCompletionOutputMessage = msgspec.field(default_factory=ChatCompletionOutputMessage)
    logprobs: ChatCompletionOutputLogprobs | None = None


class ChatCompletionOutputUsage(Record):
    """Tokens, as the server counted them."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


class ChatCompletionOutput(Record):
    """A whole answer. `choices[0].message` is the message to append to the history."""

    choices: list[ChatCompletionOutputComplete] = []
    created: int | None = None
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: ChatCompletionOutputUsage | None = None
    object: str | None = None

    def parse(self, cls: type[T], *, choice: int = 0) -> T:
        """The answer as an instance of a class: the one that was given as `response_format`.

        Raises:
            InvalidResponseError: It does not fit, was cut off, or the model refused.
        """
        from tiny_agents.inference.structured import parse_answer

        return parse_answer(self, cls, choice=choice)


# ---------------------------------------------------------------- what comes back, in pieces


class ChatCompletionStreamOutputFunction(Record):
    arguments: str | dict[str, Any] | None = None
    name: str | None = None


class ChatCompletionStreamOutputDeltaToolCall(Record):
    """A piece of a tool call; pieces with the same `index` belong together."""

    function: ChatCompletionStreamOutputFunction = msgspec.field(default_factory=ChatCompletionStreamOutputFunction)
    id: str | None = None
    index: int | None = None
    type: str | None = None
    extra_content: dict[str, Any] | None = None


class ChatCompletionStreamOutputDelta(Record):
    _usual_path: ClassVar[Path] = ("choices", 0, "delta")

    role: str | None = None
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    reasoning_details: list[Any] | None = None
    thinking_blocks: list[Any] | None = None
    refusal: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[ChatCompletionStreamOutputDeltaToolCall] | None = None


class ChatCompletionStreamOutputTopLogprob(Record):
    logprob: float | None = None
    token: str | None = None


class ChatCompletionStreamOutputLogprob(Record):
    logprob: float | None = None
    token: str | None = None
    top_logprobs: list[ChatCompletionStreamOutputTopLogprob] | None = None


class ChatCompletionStreamOutputLogprobs(Record):
    content: list[ChatCompletionStreamOutputLogprob] | None = None


class ChatCompletionStreamOutputChoice(Record):
    _usual_path: ClassVar[Path] = ("choices", 0)

    delta: ChatCompletionStreamOutputDelta = msgspec.field(default_factory=ChatCompletionStreamOutputDelta)
    index: int | None = None
    finish_reason: str | None = None
    logprobs: ChatCompletionStreamOutputLogprobs | None = None


class ChatCompletionStreamOutputUsage(Record):
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: dict[str, Any] | None = None
    completion_tokens_details: dict[str, Any] | None = None


class ChatCompletionStreamOutput(Record):
    """One chunk of a streamed answer. `choices[0].delta.content` is the text it adds."""

    choices: list[ChatCompletionStreamOutputChoice] = []
    created: int | None = None
    id: str | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: ChatCompletionStreamOutputUsage | None = None
    object: str | None = None


decode_output = decoder(ChatCompletionOutput)

_CALLS: Path = ("choices", 0, "delta", "tool_calls")
_strict_chunk = msgspec.json.Decoder(ChatCompletionStreamOutput).decode


def tolerant_chunk(raw: bytes) -> ChatCompletionStreamOutput:
    return parse(ChatCompletionStreamOutput, raw)


def decode_chunk(
    raw: bytes, *, odd: Callable[[bytes], ChatCompletionStreamOutput] = tolerant_chunk
) -> ChatCompletionStreamOutput:
    """One chunk from JSON bytes: `decoder(ChatCompletionStreamOutput)`, with the usual shape (one choice) unrolled.

    Args:
        odd: Reads what doesn't fit the declared types; by default its fields are kept as they came.

    Raises `msgspec.DecodeError` where the bytes are no JSON object.
    """
    try:
        chunk = _strict_chunk(raw)
    except UNFIT:
        return odd(raw)
    choices = chunk.choices
    if len(choices) == 1 and not chunk.usage:
        choice = choices[0]
        delta = choice.delta
        if not choice.logprobs:
            chunk._source = choice._source = delta._source = raw
            for at, call in enumerate(delta.tool_calls or ()):
                call._source = raw, (*_CALLS, at)
                call.function._source = raw, (*_CALLS, at, "function")
            return chunk
    link(chunk, raw)
    return chunk
