"""What a server asks of us -> the desk -> the answer, both as the protocol has them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from tiny_agents.mcp_client.host.host import Desk, FormRequest, Refusal, SamplingRequest, Service, UrlRequest
from tiny_agents.mcp_client.protocol.messages import HANDSHAKES, INVALID_REQUEST, METHOD_NOT_FOUND, RpcError
from tiny_agents.mcp_client.text import readable, shortened

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.watch import Watch
    from tiny_agents.mcp_client.host.host import SamplingReply

USER_REFUSED: Final = -1

MAX_MESSAGE_CHARS: Final = 4_000
"""Most of what a server says to the person when it asks for something."""

MAX_ASKED_CHARS: Final = 50_000
"""Longest form, or address of a page."""

REASON: Final = "tiny-agents/reason"
"""Where, in the `_meta` of an answer, a server finds why the person wasn't asked."""

Params = dict[str, Any]


async def answer(desk: Desk, watch: Watch, method: str, params: Params) -> dict[str, Any]:
    """The answer to a question of the server's, be it a request of its own or part of an answer.

    Raises:
        RpcError: There is none: nobody serves such questions, or somebody is against it.
        NotValid: The question isn't as the protocol has it.
    """
    if (found := _QUESTIONS.get(method)) is None:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
    service, answered = found
    if service not in desk.serves:
        raise RpcError(INVALID_REQUEST, f"{service} is not supported by this client")
    try:
        return await answered(desk, watch, params)
    except Refusal as refusal:
        raise RpcError(USER_REFUSED, str(refusal)) from refusal


async def answer_request(desk: Desk, watch: Watch, version: str, method: str, params: Params) -> dict[str, Any]:
    """The answer to a request of the server's, in a version of the protocol that has it; with the errors of `answer`."""
    if (since := _REQUESTS.get(method)) is None or version not in HANDSHAKES or version < since:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
    return {} if method == "ping" else await answer(desk, watch, method, params)


_REQUESTS: dict[str, str] = {
    "ping": "2024-11-05",
    "roots/list": "2024-11-05",
    "sampling/createMessage": "2024-11-05",
    "elicitation/create": "2025-06-18",
}
"""Requests of servers, and the version they came with; since 2026-07-28 there are none."""


async def _elicit(desk: Desk, watch: Watch, params: Params) -> dict[str, Any]:
    from tiny_agents.mcp_client.protocol.shapes import Form, read

    asked = read(params, Form)
    message = readable(shortened(asked.message, MAX_MESSAGE_CHARS))
    request: FormRequest | UrlRequest
    if asked.mode == "url":
        url = asked.url or ""
        size, request = len(url), UrlRequest(desk.server, message, url)
    else:
        schema = asked.requested_schema or {}
        size, request = len(json.dumps(schema, ensure_ascii=False)), FormRequest(desk.server, message, schema)
    if size > MAX_ASKED_CHARS:
        raise Refusal(f"a question of {size:,} characters: at most {MAX_ASKED_CHARS:,} are shown to the user")
    with watch.paused():
        reply = await desk.elicit(request)
    said: dict[str, Any] = {"action": reply.action}
    if reply.content is not None:
        said["content"] = {name: value for name, value in reply.content.items() if value is not None}
    if reply.reason:
        said["_meta"] = {REASON: reply.reason}
    return said


async def _sample(desk: Desk, watch: Watch, params: Params) -> dict[str, Any]:
    from tiny_agents.mcp_client.host.sampling import chat_messages, chat_tools
    from tiny_agents.mcp_client.protocol.shapes import Preferences, Sampling, plain, read

    asked = read(params, Sampling)
    wanted = asked.model_preferences or Preferences()
    request = SamplingRequest(
        desk.server,
        chat_messages(asked.system_prompt, plain(asked.messages)),
        max(1, min(asked.max_tokens, desk.host.max_sampling_tokens)),
        asked.temperature,
        asked.stop_sequences,
        tuple(hint.name for hint in wanted.hints or () if hint.name),
        tools=tuple(chat_tools(plain(asked.tools or []))),
        tool_choice=None if asked.tool_choice is None else asked.tool_choice.mode,
        cost_priority=wanted.cost_priority,
        speed_priority=wanted.speed_priority,
        intelligence_priority=wanted.intelligence_priority,
    )
    with watch.paused():
        reply = await desk.answer(request)
    return {"role": "assistant", "content": _sampled(reply), "model": reply.model, "stopReason": _why_it_ended(reply)}


def _sampled(reply: SamplingReply) -> dict[str, Any] | list[dict[str, Any]]:
    said = {"type": "text", "text": reply.text}
    calls = [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": dict(call.arguments)}
        for call in reply.tool_calls
    ]
    return [*([said] if reply.text else []), *calls] if calls else said


def _why_it_ended(reply: SamplingReply) -> str:
    return "toolUse" if reply.tool_calls else "maxTokens" if reply.cut else "endTurn"


async def _roots(desk: Desk, watch: Watch, _: Params) -> dict[str, Any]:
    with watch.paused():
        folders = await desk.roots()
    absolute = [folder.absolute() for folder in folders]
    return {"roots": [{"uri": folder.as_uri(), "name": folder.name or str(folder)} for folder in absolute]}


_QUESTIONS: dict[str, tuple[Service, Callable[[Desk, Watch, Params], Awaitable[dict[str, Any]]]]] = {
    "elicitation/create": ("elicitation", _elicit),
    "sampling/createMessage": ("sampling", _sample),
    "roots/list": ("roots", _roots),
}

CAPABILITIES: dict[Service, dict[str, Any]] = {
    "elicitation": {"form": {}, "url": {}},
    "sampling": {"tools": {}},
    "roots": {"listChanged": True},
}
"""What servers are told of each service."""
