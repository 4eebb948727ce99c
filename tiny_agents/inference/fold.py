"""Chat chunks -> one assistant message. Pure.

Real servers leave out, repeat and reorder what the protocol prescribes. What is understood here: tool calls without
index, without id, with the same id or index twice, with arguments as an object, all at once or in pieces; names sent
again in every piece; null in place of anything; a role in every chunk.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tiny_agents.errors import InvalidResponseError
from tiny_agents.inference.types.chat import (
    ChatCompletionInputFunctionDefinition,
    ChatCompletionInputMessage,
    ChatCompletionInputToolCall,
    ChatCompletionStreamOutput,
    ChatCompletionStreamOutputDeltaToolCall,
    ChatCompletionStreamOutputUsage,
)

MAX_ANSWER_CHARS = 16 * 1024 * 1024
MAX_CALLS = 1024
"""The longest answer, several times what any model writes: one that never ends fills no memory."""


class _PartialCall(msgspec.Struct):
    index: int | None
    id: str | None
    name: str = ""
    arguments: list[str] = msgspec.field(default_factory=list)
    extra_content: dict[str, Any] | None = None


class ChatFold(msgspec.Struct):
    """Adds up the chunks of one answer (its first choice). `add` each, then ask `message()`.

    `add` raises InvalidResponseError for an answer that is longer than `MAX_ANSWER_CHARS`, or has more than `MAX_CALLS`.
    """

    finish_reason: str | None = None
    usage: ChatCompletionStreamOutputUsage | None = None
    model: str | None = None
    id: str | None = None
    _content: list[str] = msgspec.field(default_factory=list)
    _reasoning: list[str] | None = None  # what few answers have is made with its first piece
    _reasoning_content: list[str] | None = None
    _reasoning_details: list[Any] | None = None
    _thinking_blocks: list[Any] | None = None
    _calls: list[_PartialCall] | None = None
    _size: int = 0

    def add(self, chunk: ChatCompletionStreamOutput) -> None:
        if chunk.usage is not None:
            self.usage = chunk.usage
        if self.model is None:
            self.model, self.id = chunk.model, chunk.id
        choices = chunk.choices
        if not choices:
            return
        choice = choices[0]
        if choice.index:
            if (found := next((other for other in choices if not other.index), None)) is None:
                return
            choice = found
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        delta = choice.delta
        if content := delta.content:
            self._content.append(content)
            self._size += len(content)
            if self._size > MAX_ANSWER_CHARS:
                self._grow(0)
        if delta.reasoning:
            self._reasoning = self._reasoning or []
            self._keep(delta.reasoning, self._reasoning)
        if delta.reasoning_content:
            self._reasoning_content = self._reasoning_content or []
            self._keep(delta.reasoning_content, self._reasoning_content)
        if delta.reasoning_details:
            self._grow(_size_of(delta.reasoning_details))
            self._reasoning_details = self._reasoning_details or []
            add_blocks(self._reasoning_details, delta.reasoning_details)
        if delta.thinking_blocks:
            self._grow(_size_of(delta.thinking_blocks))
            self._thinking_blocks = self._thinking_blocks or []
            add_blocks(self._thinking_blocks, delta.thinking_blocks)
        if delta.tool_calls:
            for piece in delta.tool_calls:
                self._add_call(piece)

    def _keep(self, text: str, pieces: list[str]) -> None:
        pieces.append(text)
        self._grow(len(text))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_ANSWER_CHARS:
            raise InvalidResponseError(
                f"The answer is longer than {MAX_ANSWER_CHARS:,} characters; it was given up.", model=self.model
            )

    @property
    def content(self) -> str:
        return "".join(self._content)

    @property
    def has_tool_calls(self) -> bool:
        return bool(self._calls)

    def message(self, *, with_tool_calls: bool = True) -> ChatCompletionInputMessage | None:
        """The assistant message so far, ready for the history; None if the model said nothing.

        Args:
            with_tool_calls: False leaves the tool calls out, and blocks of reasoning: for an answer that broke off, whose
                last call may be half and whose last block may lack its signature.
        """
        calls = self._finished_calls() if with_tool_calls else []
        content = self.content
        if not content and not calls:
            return None
        return ChatCompletionInputMessage(
            role="assistant",
            content=content or None,
            tool_calls=calls or None,
            reasoning="".join(self._reasoning or ()) or None,
            reasoning_content="".join(self._reasoning_content or ()) or None,
            reasoning_details=(self._reasoning_details or None) if with_tool_calls else None,
            thinking_blocks=(self._thinking_blocks or None) if with_tool_calls else None,
        )

    # ---- tool calls

    def _add_call(self, piece: ChatCompletionStreamOutputDeltaToolCall) -> None:
        function = piece.function
        name = function.name
        self._calls = self._calls or []
        call = self._call_for(piece, name, self._calls)
        if piece.id and not call.id:
            call.id = piece.id
        if name and name != call.name:
            self._grow(len(call.name) + len(name))
            call.name += name  # a few servers send names in pieces; most repeat the whole name or send it once
        if function.arguments:
            self._keep(_as_text(function.arguments), call.arguments)
        if piece.extra_content:
            call.extra_content = {**(call.extra_content or {}), **piece.extra_content}

    def _call_for(
        self, piece: ChatCompletionStreamOutputDeltaToolCall, name: str | None, calls: list[_PartialCall]
    ) -> _PartialCall:
        """The call `piece` continues, or a new one.

        The index decides, without one the id, without both it is the latest call. But a piece with a name starts a call
        of its own where the one it would continue has another id, or is already whole and would get more arguments:
        there are servers that number every call 0, and some that number none.
        """
        if piece.index is not None:
            known = next((call for call in reversed(calls) if call.index == piece.index), None)
        elif piece.id:
            known = next((call for call in reversed(calls) if call.id == piece.id), None)
        else:
            known = calls[-1] if calls else None
        if known is not None:
            other_id = bool(piece.id and known.id and piece.id != known.id)
            adds_arguments = bool(piece.function.arguments)
            if not (name and (other_id or (adds_arguments and _complete(known.arguments)))):
                return known
        if len(calls) >= MAX_CALLS:
            raise InvalidResponseError(
                f"The answer has more than {MAX_CALLS:,} tool calls; it was given up.", model=self.model
            )
        call = _PartialCall(piece.index, piece.id)
        calls.append(call)
        return call

    def _finished_calls(self) -> list[ChatCompletionInputToolCall]:
        finished = []
        seen: set[str] = set()
        for number, call in enumerate(self._calls or ()):
            call_id = str(call.id or f"call_{number}")
            while call_id in seen:  # a history in which two calls share an id can't be answered
                call_id += f"_{number}"
            seen.add(call_id)
            finished.append(
                ChatCompletionInputToolCall(
                    id=call_id,
                    function=ChatCompletionInputFunctionDefinition(
                        name=call.name, arguments="".join(call.arguments) or "{}"
                    ),
                    extra_content=call.extra_content,
                )
            )
        return finished


_GROWING = ("text", "summary", "thinking", "data")
"""Fields of a block of reasoning that come in pieces; others, like its signature, come once."""


def add_blocks(blocks: list[Any], pieces: list[Any]) -> None:
    """Add pieces of reasoning to the blocks so far, in place. They go back to the model letter for letter.

    A piece goes on the latest block if it has the same type and index, and neither a signature that is already there nor
    another id. Sources: OpenRouter, "Reasoning tokens" (`reasoning_details`); LiteLLM, "Reasoning content"
    (`thinking_blocks`).
    """
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        last = blocks[-1] if blocks else None
        if last is None or not _continues(last, piece):
            blocks.append(dict(piece))
            continue
        for key, value in piece.items():
            old = last.get(key)
            grows = key in _GROWING and isinstance(old, str) and isinstance(value, str)
            if grows:
                last[key] = old + value
            elif value is not None:
                last[key] = value


def _size_of(blocks: list[Any]) -> int:
    """About how many characters they hold: texts that grow are most of it."""
    return sum(
        sum(len(value) if isinstance(value, str) else 8 for value in block.values())
        for block in blocks
        if isinstance(block, dict)
    )


def _continues(last: dict[str, Any], piece: dict[str, Any]) -> bool:
    if any(last.get(key) != piece.get(key) for key in ("type", "index")):
        return False
    if last.get("signature") and (piece.get("signature") or any(piece.get(key) for key in _GROWING)):
        return False  # it is closed: what follows is a block of its own
    return not (last.get("id") and piece.get("id") and last["id"] != piece["id"])


def _as_text(arguments: str | dict[str, Any]) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


def _complete(arguments: list[str]) -> bool:
    """Whether the pieces so far are a whole JSON object."""
    if not arguments or not arguments[-1].rstrip().endswith("}"):
        return False
    try:
        msgspec.json.decode("".join(arguments))
    except msgspec.DecodeError:
        return False
    return True
