"""Chunks of a chat answer whose fields aren't of the types that the protocol gives them, made ones whose fields are. Pure.

What can mean one thing only is understood: text in parts, a number where a text belongs, one call where a list belongs.
What means nothing is left out, so that nobody who reads a chunk has to expect it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any, Literal

import msgspec

from tiny_agents.inference.types.chat import (
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputChoice,
    ChatCompletionStreamOutputDelta,
    ChatCompletionStreamOutputDeltaToolCall,
    ChatCompletionStreamOutputFunction,
)
from tiny_agents.inference.types.record import UNFIT, Record, parse, to_builtins

_HALVES = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF_AT_END = re.compile("[\ud800-\udbff]$")


class OddChunks:
    """Reads the odd chunks of one answer. Servers whose texts are UTF-16 cut a character in two between chunks."""

    def __init__(self) -> None:
        self._half = ""

    def read(self, raw: bytes) -> ChatCompletionStreamOutput:
        """A chunk from its JSON. Raises `msgspec.DecodeError` where the bytes are no JSON object."""
        chunk = parse(ChatCompletionStreamOutput, raw)
        mend(chunk)
        if chunk.choices and (_HALVES.search(raw) or self._half):
            delta = chunk.choices[0].delta
            delta.content = self._whole(_content_with_halves(raw) or delta.content or "")
        return chunk

    def _whole(self, text: str) -> str:
        text, self._half = self._half + text, ""
        if _HALF_AT_END.search(text):
            text, self._half = text[:-1], text[-1]
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content_with_halves(raw: bytes) -> str | None:
    """The first choice's text; msgspec doesn't read halves of characters, Python's own reader does."""
    try:
        content = json.loads(raw.decode("utf-8", "replace"))["choices"][0]["delta"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return content if isinstance(content, str) else None


def mend(chunk: ChatCompletionStreamOutput) -> None:
    """Give every field that is read of a chunk its declared type, in place."""
    choices: object = chunk.choices
    chunk.choices = (
        [choice for choice in choices if isinstance(choice, ChatCompletionStreamOutputChoice)]
        if isinstance(choices, list)
        else []
    )
    usage: object = chunk.usage
    chunk.usage = chunk.usage if isinstance(usage, Record) else None
    chunk.model, chunk.id = _text(chunk.model), _text(chunk.id)
    for choice in chunk.choices:
        choice.index = _number(choice.index)
        choice.finish_reason = _text(choice.finish_reason)
        _mend_delta(choice.delta)


def use_message(choice: ChatCompletionStreamOutputChoice) -> None:
    """Where there is no `delta`, take a whole `message`, or the `text` of the older API, for one."""
    message, text = choice.get("message"), choice.get("text")
    if isinstance(message, dict):
        choice.delta = parse(ChatCompletionStreamOutputDelta, message)
        _mend_delta(choice.delta)
    elif isinstance(text, str):
        choice.delta.content = text


def says_something(delta: ChatCompletionStreamOutputDelta) -> bool:
    """Whether a piece without text adds anything else to the answer than whose it is."""
    if delta.tool_calls or delta.reasoning or delta.reasoning_content:
        return True
    if isinstance(raw := delta._source, bytes) and _is_bare(raw):
        return False
    return any(value for name, value in delta.items() if name != "role")


def _is_bare(raw: bytes) -> bool:
    """Whether a chunk is the one with which most servers begin: a role, and maybe fields without a value."""
    try:
        _bare_chunk().decode(raw)
    except UNFIT:
        return False
    return True


@cache
def _bare_chunk() -> msgspec.json.Decoder[Any]:
    names = [name for name in ChatCompletionStreamOutputDelta.__struct_fields__ if name not in ("_source", "role")]
    fields = [("role", Any, None), *((name, Literal[""] | None, None) for name in names)]
    delta = msgspec.defstruct("Delta", fields, forbid_unknown_fields=True)
    choice = msgspec.defstruct("Choice", [("delta", delta)])
    return msgspec.json.Decoder(msgspec.defstruct("Chunk", [("choices", tuple[choice])]))  # type: ignore[valid-type]


def is_error(chunk: ChatCompletionStreamOutput) -> bool:
    """Whether a chunk without choices says that something failed: vLLM and FastAPI send their errors like this."""
    if chunk.object == "error":
        return True
    if isinstance(chunk.get("message"), str):
        return any(name in chunk for name in ("code", "status", "type"))
    return isinstance(chunk.get("detail"), str)


def _mend_delta(delta: ChatCompletionStreamOutputDelta) -> None:
    delta.role = _text(delta.role)
    delta.content, delta.refusal = _text(delta.content), _text(delta.refusal)
    delta.reasoning, delta.reasoning_content = _text(delta.reasoning), _text(delta.reasoning_content)
    delta.reasoning_details = _list(delta.reasoning_details)
    delta.thinking_blocks = _list(delta.thinking_blocks)
    calls: Any = delta.tool_calls
    if isinstance(calls, dict):
        calls = [parse(ChatCompletionStreamOutputDeltaToolCall, calls)]
    known = [call for call in _list(calls) or () if isinstance(call, ChatCompletionStreamOutputDeltaToolCall)]
    for call in known:
        _mend_call(call)
    delta.tool_calls = known or None


def _mend_call(call: ChatCompletionStreamOutputDeltaToolCall) -> None:
    call.index, call.id = _number(call.index), _text(call.id)
    extra: object = call.extra_content
    call.extra_content = call.extra_content if isinstance(extra, dict) else None
    function: ChatCompletionStreamOutputFunction = call.function
    name: object = function.name
    function.name = name if isinstance(name, str) else None
    arguments: object = function.arguments
    if arguments is not None and not isinstance(arguments, (str, dict)):
        function.arguments = json.dumps(to_builtins(arguments))  # no object, which the model will be told


def _text(value: object) -> str | None:
    """A text from what is there in its place: parts, an object with a text, a number."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(_text(part) or "" for part in value)
    if isinstance(value, dict):
        return _text(value.get("text"))
    return json.dumps(value)


def _list(value: object) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
