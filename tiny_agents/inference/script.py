"""What a model is to answer, written down beforehand: for tests of agents. Pure; `scripted.py` plays it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from tiny_agents.errors import InferenceError
from tiny_agents.inference.types.chat import ChatCompletionOutput, decode_output

SCRIPTED = "scripted"
"""What the model of a script is called."""
SCRIPTED_HOST = "scripted.invalid"
"""Where it is said to be: a name that no network has."""

_SHOWN_CHARS = 200


class ScriptedCall(msgspec.Struct, frozen=True):
    """A tool call of an answer.

    Attributes:
        tool: The tool, as the model knows it.
        arguments: Its arguments. Text goes out as it stands, to see what becomes of arguments that are no JSON.
    """

    tool: str
    arguments: Mapping[str, Any] | str = msgspec.field(default_factory=dict)


class ScriptedAnswer(msgspec.Struct, frozen=True):
    """One answer of the model.

    Attributes:
        calls: Tools that it calls.
        finish_reason: Why it stops; by default "tool_calls" with calls, else "stop".
        to: It is given only where the last message holds this text; "" is any. It tells the conversations of several agents
            apart.
        heard: A checksum of the message that it was recorded for (`heard_of`): that message gets it first.
        usage: Tokens as a server counts them (`prompt_tokens`, `completion_tokens`, `total_tokens`).
    """

    text: str = ""
    calls: tuple[ScriptedCall, ...] = ()
    reasoning: str = ""
    finish_reason: str = ""
    to: str = ""
    heard: str = ""
    usage: Mapping[str, Any] = msgspec.field(default_factory=dict)

    def as_output(self, number: int) -> ChatCompletionOutput:
        """The answer as a server gives it; `number` makes the ids of its calls unlike all others."""
        calls = [
            {
                "id": f"call_{number}_{n}",
                "type": "function",
                "function": {"name": call.tool, "arguments": _as_text(call.arguments)},
            }
            for n, call in enumerate(self.calls, 1)
        ]
        message: dict[str, Any] = {"role": "assistant", "content": self.text or None}
        if calls:
            message["tool_calls"] = calls
        if self.reasoning:
            message["reasoning_content"] = self.reasoning
        reason = self.finish_reason or ("tool_calls" if calls else "stop")
        whole: dict[str, Any] = {
            "id": f"scripted-{number}",
            "object": "chat.completion",
            "created": 0,
            "model": SCRIPTED,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        }
        if self.usage:
            whole["usage"] = dict(self.usage)
        return decode_output(msgspec.json.encode(whole))


def _as_text(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()


class Script:
    """The answers of a model, each given once: the first that fits what the model is asked.

    An answer that was recorded for the very message comes before those.
    """

    def __init__(self, answers: Iterable[ScriptedAnswer]) -> None:
        self._left = list(answers)
        self._number = len(self._left)
        self.given = 0

    @property
    def left(self) -> Sequence[ScriptedAnswer]:
        """The answers that nobody has asked for yet."""
        return tuple(self._left)

    def take(self, messages: Sequence[Mapping[str, Any]]) -> ChatCompletionOutput:
        """The answer to `messages`.

        Raises:
            InferenceError: There is none.
        """
        said = text_of_last(messages)
        heard = heard_of(messages)
        fitting = [answer for answer in self._left if answer.to in said]
        if not fitting:
            raise InferenceError(self._nothing_for(said), model=SCRIPTED)
        answer = next((answer for answer in fitting if answer.heard == heard), fitting[0])
        self._left.remove(answer)
        self.given += 1
        return answer.as_output(self.given)

    def _nothing_for(self, said: str) -> str:
        shown = said if len(said) <= _SHOWN_CHARS else f"{said[:_SHOWN_CHARS]}…"
        count = f"{self._number} answer{'' if self._number == 1 else 's'}"
        if self._left:
            return f"none of the answers that are left in the script ({len(self._left)} of {count}) is for: {shown}"
        return f"the script has {count}, and the model was asked once more: {shown}"


def text_of_last(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the last message says; images and the like are left out."""
    content = messages[-1].get("content") if messages else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(text for part in parts if isinstance(text := part.get("text"), str))


def heard_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """A checksum of what the last message says."""
    return hashlib.sha256(text_of_last(messages).encode("utf-8", "surrogatepass")).hexdigest()[:16]
