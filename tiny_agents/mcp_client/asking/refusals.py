"""What a server refuses of a request, from its error; and the request without it. Pure.

Servers that speak the same protocol don't take the same fields. Rather than knowing each, we ask for what is useful and
leave out what the error names, once and for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tiny_agents.inference.types.record import Record, to_builtins

if TYPE_CHECKING:
    from tiny_agents.errors import ProviderError

REASONING_FIELDS = ("reasoning", "reasoning_content", "reasoning_details", "thinking_blocks")
"""Fields of an assistant message that hold what the model thought, each as its provider sent it."""


class ChatRequest(msgspec.Struct, frozen=True, gc=False):
    """What is about to be asked.

    Attributes:
        params: Further arguments of a chat completion.
        tools_matter: Whether the tools do anything; those that only end a turn can be left out.
    """

    messages: Sequence[Any]
    tools: Sequence[Any] = ()
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)
    tools_matter: bool = True


class Refusal(msgspec.Struct, frozen=True):
    """Something that a server may not take.

    Attributes:
        name: What it is, in the words of a log.
        statuses: With which it may say so.
        says: A pattern of what is found in its error.
        is_in: Whether a request has it.
        without: The request without it.
    """

    name: str
    statuses: Collection[int]
    says: str
    is_in: Callable[[ChatRequest], bool]
    without: Callable[[ChatRequest], ChatRequest]


def refusal_in(error: ProviderError, request: ChatRequest) -> Refusal | None:
    """What of `request` the server refuses; None where the error is about something else."""
    said = f"{error} {error.body}"
    for refusal in REFUSALS:
        if error.status in refusal.statuses and re.search(refusal.says, said) and refusal.is_in(request):
            return refusal
    return None


def without(request: ChatRequest, refused: Collection[str]) -> ChatRequest:
    """`request` without all that was refused before, by name."""
    for refusal in REFUSALS:
        if refusal.name in refused:
            request = refusal.without(request)
    return request


# ---- the kinds


def _has(name: str) -> Callable[[ChatRequest], bool]:
    return lambda request: name in request.params


def _less(*names: str) -> Callable[[ChatRequest], ChatRequest]:
    def without_params(request: ChatRequest) -> ChatRequest:
        return replace(request, params={key: value for key, value in request.params.items() if key not in names})

    return without_params


def _without_idle_tools(request: ChatRequest) -> ChatRequest:
    return request if request.tools_matter else _less("tool_choice")(replace(request, tools=()))


def _reasons(request: ChatRequest) -> bool:
    return any(_thoughts_in(message) for message in request.messages)


def _thoughts_in(message: Any) -> bool:
    return any(message.get(name) for name in REASONING_FIELDS) or any(
        call.get("extra_content") for call in message.get("tool_calls") or ()
    )


def _without_reasoning(request: ChatRequest) -> ChatRequest:
    return replace(request, messages=[_thoughtless(message) for message in request.messages])


def _thoughtless(message: Any) -> Any:
    if not _thoughts_in(message):
        return message
    plain = message.to_dict() if isinstance(message, Record) else to_builtins(dict(message))
    kept = {key: value for key, value in plain.items() if key not in REASONING_FIELDS}
    if kept.get("tool_calls"):
        kept["tool_calls"] = [
            {key: value for key, value in call.items() if key != "extra_content"} for call in kept["tool_calls"]
        ]
    return kept


_NOT_TAKEN = (
    r"unsupported|n[o']t\s+(?:be\s+)?(?:supported|permitted|allowed|implemented|enabled|accepted)|n[o']t\s+support"
    r"|extra[_ ]|unrecogni[sz]ed|unknown|unexpected|forbidden|invalid|unavailable"
)


def _named(field_: str) -> str:
    """`field_`, and near it that it isn't taken."""
    return rf"(?is)(?:{field_}).{{0,120}}(?:{_NOT_TAKEN})|(?:{_NOT_TAKEN}).{{0,120}}(?:{field_})"


TOOLS = "tools"
_TOOLS = r"tools?|tool[ -]?(?:use|calls?|calling)|functions?|function[ -]?calls?|function[ -]?calling"
_NO_TOOLS = (
    rf"(?i)(?:n[o']t|no)\s+support\w*\s+(?:for\s+)?[`'\"]?(?:{_TOOLS})\b"
    rf"|\b(?:{_TOOLS})[`'\"]?\s+(?:is|are)\s+(?:n[o']t\s+(?:yet\s+)?(?:supported|enabled|available)|unsupported)"
    r"|unsupported param(?:eter)?:? [`'\"]?tools\b|found that support tool use|enable-auto-tool-choice"
    r"|tools param requires"
)

REFUSALS: Sequence[Refusal] = (
    Refusal(
        "token counts in streams",
        frozenset({400, 404, 422}),
        _named("stream_options|include_usage"),
        _has("stream_options"),
        _less("stream_options"),
    ),
    Refusal(
        "earlier reasoning",
        frozenset({400, 422}),
        _named(r"\b(?:reasoning|reasoning_content|reasoning_details|thinking_blocks|extra_content)\b"),
        _reasons,
        _without_reasoning,
    ),
    Refusal(
        "answers in a format",
        frozenset({400, 404, 422, 500, 501}),
        _named(r"response_format|json_schema|json schema|structured outputs?"),
        _has("response_format"),
        _less("response_format"),
    ),
    Refusal(
        "tool_choice",
        frozenset({400, 422}),
        _named("tool_choice"),
        _has("tool_choice"),
        _less("tool_choice"),
    ),
    Refusal(
        TOOLS, frozenset({400, 404, 422, 500, 501}), _NO_TOOLS, lambda request: bool(request.tools), _without_idle_tools
    ),
)
