"""What a server asks of us, as the SDK hands it over -> the desk -> what the SDK sends back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.host import (
    MAX_SAMPLING_TOKENS,
    Desk,
    FormRequest,
    Refusal,
    SamplingRequest,
    Service,
    UrlRequest,
)
from tiny_agents.mcp_client.sampling import chat_messages
from tiny_agents.mcp_client.text import readable
from tiny_agents.mcp_client.watch import (
    Watch,
)

if TYPE_CHECKING:  # importing it costs 0.7 s
    from mcp_types import ErrorData


USER_REFUSED = -1


def _on_elicitation(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def elicit(_: object, params: types.ElicitRequestParams) -> types.ElicitResult | types.ErrorData:
        message = readable(params.message)
        request: FormRequest | UrlRequest
        if isinstance(params, types.ElicitRequestURLParams):
            request = UrlRequest(desk.server, message, params.url)
        else:
            request = FormRequest(desk.server, message, params.requested_schema)
        try:
            with watch.paused():
                reply = await desk.elicit(request)
        except Refusal as refusal:
            return _refused(refusal)
        content = None if reply.content is None else dict(reply.content)
        return types.ElicitResult(action=reply.action, content=content)

    return elicit


def _on_sampling(desk: Desk, watch: Watch) -> Callable[..., Any]:
    import mcp_types as types

    async def sample(
        _: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult | types.ErrorData:
        wanted = params.model_dump(mode="json", by_alias=True, exclude_none=True)
        hints = (wanted.get("modelPreferences") or {}).get("hints") or []
        try:
            request = SamplingRequest(
                desk.server,
                chat_messages(params.system_prompt, wanted["messages"]),
                max(1, min(params.max_tokens, MAX_SAMPLING_TOKENS)),
                params.temperature,
                params.stop_sequences,
                tuple(hint["name"] for hint in hints if hint.get("name")),
            )
            with watch.paused():
                reply = await desk.answer(request)
        except Refusal as refusal:
            return _refused(refusal)
        content = types.TextContent(type="text", text=reply.text)
        stop_reason = "maxTokens" if reply.cut else "endTurn"
        return types.CreateMessageResult(role="assistant", content=content, model=reply.model, stop_reason=stop_reason)

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
