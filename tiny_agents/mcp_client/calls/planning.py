"""The tool calls of one answer -> what to run, and what the history may keep of them. Pure.

A model makes mistakes that a strict API doesn't forgive when it gets them back: arguments that are no JSON, names with
spaces, an id used twice. What is kept is always valid; what was wrong is told to the model in the call's answer.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from typing import Any

import msgspec

from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionInputToolCall
from tiny_agents.mcp_client.calls.repair import read_loosely
from tiny_agents.mcp_client.text import encodable, encodable_json
from tiny_agents.mcp_client.tools.table import legal_name

CUT_REASONS = frozenset({"length", "content_filter"})
"""Reasons to finish that may hit a model in the middle of a tool call."""

INTERRUPTED = "Error: this call was interrupted before its result was there. It may have run."

NOT_MADE = "Error: this call was interrupted before it was made. It did not run."

_QUOTED_CHARS = 200
_USUAL_CHARS = 4_000
_USUAL_DEPTH = 50
_UNNAMED = "unnamed_tool"


class PlannedCall(msgspec.Struct, frozen=True, gc=False):
    """One tool call, ready to be answered.

    Attributes:
        id: What its answer refers to.
        name: The tool as the model named it.
        kept_name: The same as the history keeps it.
        problem: Why it can't be run, in a sentence for the model; None if it can.
    """

    id: str
    name: str
    kept_name: str
    arguments: dict[str, Any] = msgspec.field(default_factory=dict)
    problem: str | None = None

    def answer(self, content: str) -> ChatCompletionInputMessage:
        """The tool message with which the history goes on."""
        return ChatCompletionInputMessage(
            role="tool", tool_call_id=self.id, name=self.kept_name, content=encodable(content)
        )


class Arguments(msgspec.Struct, frozen=True):
    """`value` is what the model meant, None if that can't be made out; `kept` is JSON text of an object in any case."""

    value: dict[str, Any] | None
    kept: str
    problem: str = ""


def plan_calls(
    message: ChatCompletionInputMessage, *, finish_reason: str | None, used_ids: Container[str] = ()
) -> list[PlannedCall]:
    """What to do about the tool calls of `message`, which is made fit for the history on the way.

    Args:
        finish_reason: Why the model stopped; if it was cut off, its last call may be half and is not run.
        used_ids: Ids of calls earlier in the conversation; a call that repeats one gets another.
    """
    calls = message.tool_calls or []
    seen: set[str] = set()
    planned = []
    for call in calls:
        cut = finish_reason in CUT_REASONS and call is calls[-1] and not _is_whole(call.function.arguments)
        planned.append(_plan(call, seen, used_ids, f"finish_reason '{finish_reason}'" if cut else None))
    return planned


def _plan(call: ChatCompletionInputToolCall, seen: set[str], used_ids: Container[str], cut: str | None) -> PlannedCall:
    function = call.function
    name = function.name or ""
    arguments = parse_arguments(function.arguments or "")
    call.id = _unused(encodable(call.id), seen, used_ids)
    function.name = legal_name(name) if name else _UNNAMED
    function.arguments = "{}" if cut else arguments.kept
    problem = None
    if not name:
        problem = "Error: this tool call has no function name."
    elif cut:
        problem = (
            f"Error: the answer was cut off ({cut}) inside the arguments of '{name}', so the tool was not called. "
            "Try again with shorter arguments."
        )
    elif arguments.value is None:
        problem = f"Error: the arguments of '{name}' {arguments.problem} The tool was not called."
    return PlannedCall(call.id, name, function.name, arguments.value or {}, problem)


def parse_arguments(text: str, *, repair: bool = True) -> Arguments:
    """A tool call's arguments from what the model wrote.

    Nothing at all and null mean no arguments; raw line breaks inside a text are accepted, and so is an object that was
    encoded twice (JSON text inside a JSON text).

    Args:
        repair: Also understand what is nearly JSON and can mean one thing only (see repair.py).
    """
    if (value := _usual(text)) is not None:
        return Arguments(value, text)
    decode = _decode_or_repair if repair else _decode
    try:
        value = decode(text)
        rewritten = False
        while isinstance(value, str) and value != text:
            text, value, rewritten = value, decode(value), True
        if isinstance(value, dict):
            json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else _reason(error)
        return Arguments(None, "{}", f"are not valid JSON ({reason}). They were: {_quoted(text)}.")
    if value is None:
        value = {}
    if not isinstance(value, dict):
        return Arguments(None, "{}", f"must be a JSON object, not {_quoted(text)}.")
    if not rewritten and _is_strict(text):
        return Arguments(value, text)
    value = encodable_json(value)
    return Arguments(value, json.dumps(value, ensure_ascii=False))


def _usual(text: str) -> dict[str, Any] | None:
    """The object that `text` is, where it is strict JSON, and too short for anything in it to be too large or too deep."""
    if len(text) > _USUAL_CHARS or text.count("[") + text.count("{") > _USUAL_DEPTH:
        return None
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None
    return value if type(value) is dict else None


def _reason(error: ValueError) -> str:
    said = str(error)
    return "a number is too large" if "digits" in said or "float values" in said else said


def ids_in(messages: Sequence[Any]) -> set[str]:
    """Ids of all tool calls of a history whose messages are dictionaries or records."""
    return {str(call.get("id")) for message in messages for call in message.get("tool_calls") or ()}


def _decode(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return json.loads(text, strict=False, parse_constant=_no_json)


def _decode_or_repair(text: str) -> Any:
    try:
        return _decode(text)
    except ValueError as error:
        try:
            return read_loosely(text)
        except ValueError:
            raise error from None  # what is wrong with it as JSON says more


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _is_strict(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_whole(arguments: str | None) -> bool:
    """Whether arguments at the very end of a cut answer are complete; none at all may be about to begin."""
    return bool(arguments) and arguments != "{}" and parse_arguments(arguments or "", repair=False).value is not None


def _unused(call_id: str, seen: set[str], used_ids: Container[str]) -> str:
    """Neither seen in this answer nor used before it."""
    unused = call_id
    number = 2
    while unused in seen or unused in used_ids:
        unused = f"{call_id}_{number}"
        number += 1
    seen.add(unused)
    return unused


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS] + "…")
