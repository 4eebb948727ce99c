"""What a server asks of us, as the SDK hands it over -> the desk -> what the SDK sends back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.connection.watch import (
    Watch,
)
from tiny_agents.mcp_client.host.host import (
    Desk,
    FormRequest,
    Refusal,
    SamplingRequest,
    Service,
    UrlRequest,
)
from tiny_agents.mcp_client.host.sampling import chat_messages, chat_tools
from tiny_agents.mcp_client.text import readable, shortened

if TYPE_CHECKING:  # importing it costs 0.7 s
    from mcp_types import ErrorData


USER_REFUSED = -1

MAX_MESSAGE_CHARS = 4_000
"""Most of what a server says to the person when it asks for something."""

MAX_ASKED_CHARS = 50_000
"""Longest form, or address of a page."""

REASON = "tiny-agents/reason"
"""Where, in the `_meta` of an answer, a server finds why the person wasn't asked."""


def _on_elicitation(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def elicit(_: object, params: types.ElicitRequestParams) -> types.ElicitResult | types.ErrorData:
        message = readable(shortened(params.message, MAX_MESSAGE_CHARS))
        request: FormRequest | UrlRequest
        if isinstance(params, types.ElicitRequestURLParams):
            size, request = len(params.url), UrlRequest(desk.server, message, params.url)
        else:
            size = len(json.dumps(params.requested_schema, ensure_ascii=False, default=str))
            request = FormRequest(desk.server, message, params.requested_schema)
        try:
            if size > MAX_ASKED_CHARS:
                raise Refusal(f"a question of {size:,} characters: at most {MAX_ASKED_CHARS:,} are shown to the user")
            with watch.paused():
                reply = await desk.elicit(request)
        except Refusal as refusal:
            return _refused(refusal)
        content = None if reply.content is None else dict(reply.content)
        meta = {REASON: reply.reason} if reply.reason else None
        return types.ElicitResult(action=reply.action, content=content, _meta=meta)

    return elicit


def _on_sampling(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def sample(
        _: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.CreateMessageResultWithTools | types.ErrorData:
        wanted = params.model_dump(mode="json", by_alias=True, exclude_none=True)
        preferences = wanted.get("modelPreferences") or {}
        try:
            request = SamplingRequest(
                desk.server,
                chat_messages(params.system_prompt, wanted["messages"]),
                max(1, min(params.max_tokens, desk.host.max_sampling_tokens)),
                params.temperature,
                params.stop_sequences,
                tuple(hint["name"] for hint in preferences.get("hints") or [] if hint.get("name")),
                tools=tuple(chat_tools(wanted.get("tools") or [])),
                tool_choice=(wanted.get("toolChoice") or {}).get("mode"),
                cost_priority=preferences.get("costPriority"),
                speed_priority=preferences.get("speedPriority"),
                intelligence_priority=preferences.get("intelligencePriority"),
            )
            with watch.paused():
                reply = await desk.answer(request)
        except Refusal as refusal:
            return _refused(refusal)
        said = types.TextContent(type="text", text=reply.text)
        if not reply.tool_calls:
            stop = "maxTokens" if reply.cut else "endTurn"
            return types.CreateMessageResult(role="assistant", content=said, model=reply.model, stop_reason=stop)
        calls = [types.ToolUseContent(id=c.id, name=c.name, input=dict(c.arguments)) for c in reply.tool_calls]
        content: list[types.SamplingMessageContentBlock] = [*([said] if reply.text else []), *calls]
        return types.CreateMessageResultWithTools(
            role="assistant", content=content, model=reply.model, stop_reason="toolUse"
        )

    return sample


def _on_roots(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def roots(_: object) -> types.ListRootsResult | types.ErrorData:
        try:
            with watch.paused():
                folders = await desk.roots()
        except Refusal as refusal:
            return _refused(refusal)
        absolute = [folder.absolute() for folder in folders]
        return types.ListRootsResult.model_validate(
            {"roots": [{"uri": folder.as_uri(), "name": folder.name or str(folder)} for folder in absolute]}
        )

    return roots


CALLBACKS: dict[Service, tuple[str, Callable[[Desk, Watch], Callable[..., Any]]]] = {
    "elicitation": ("elicitation_callback", _on_elicitation),
    "sampling": ("sampling_callback", _on_sampling),
    "roots": ("list_roots_callback", _on_roots),
}


def _refused(refusal: Refusal) -> ErrorData:
    from mcp_types import ErrorData

    return ErrorData(code=USER_REFUSED, message=str(refusal))
