"""A server's request for a text of our model: from the protocol's words to a chat API's, and asked."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tiny_agents.errors import InferenceError
from tiny_agents.mcp_client.calls.planning import parse_arguments
from tiny_agents.mcp_client.host.host import Refusal, SampledCall, SamplingReply, SamplingRequest
from tiny_agents.mcp_client.results.results import read_result
from tiny_agents.mcp_client.text import encodable, readable, shortened
from tiny_agents.mcp_client.tools.table import MAX_DESCRIPTION_CHARS, legal_name, object_schema

if TYPE_CHECKING:
    from tiny_agents.inference.types.chat import ChatCompletionOutput, ChatCompletionOutputToolCall
    from tiny_agents.mcp_client.asking.asking import Seat
    from tiny_agents.mcp_client.observing.observing import Observing

logger = logging.getLogger("tiny_agents.mcp_client")


async def sample(
    seat: Seat,
    observing: Observing,
    request: SamplingRequest,
    counted: Callable[[ChatCompletionOutput], None] = lambda _: None,
) -> SamplingReply:
    """Ask the model what a server wants to know.

    Args:
        counted: Told of the model's answer, for who keeps an account.

    Raises:
        Refusal: The model could not be asked; why is logged, not told to the server.
    """
    by_name = {legal_name(str(tool["function"]["name"])): tool for tool in request.tools}
    tools: dict[str, Any] = {}
    if request.tools:
        sent = [{**tool, "function": {**tool["function"], "name": legal}} for legal, tool in by_name.items()]
        tools = {"tools": sent, "tool_choice": request.tool_choice or "auto"}
    params: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "stop": None if request.stop is None else list(request.stop),
    }
    model = request.model or seat.model
    call = observing.model_call(
        None, server=request.server, params=params, messages=request.messages, tools=request.tools
    )
    try:
        with call.asking(model or seat.name, seat.client.settings.provider or "", seat.address):
            answer = await seat.client.chat.completions.create(list(request.messages), model=model, **params, **tools)
            call.answered(answer)
            counted(answer)
    except InferenceError as error:
        logger.warning("MCP server '%s' asked the model in vain: %s", request.server, error)
        raise Refusal("the model could not be asked") from error
    call.end()
    choice = answer.choices[0]
    text = choice.message.content or ""
    names = {legal: str(tool["function"]["name"]) for legal, tool in by_name.items()}
    calls = [
        SampledCall(call.id, names.get(call.function.name or "", call.function.name or ""), _arguments(call))
        for call in choice.message.tool_calls or ()
    ]
    used = answer.model or request.model or model or "unknown"
    return SamplingReply(text, used, choice.finish_reason == "length", calls if request.tools else ())


def _arguments(call: ChatCompletionOutputToolCall) -> Mapping[str, Any]:
    given = call.function.arguments or ""
    if isinstance(given, dict):
        return given
    found = parse_arguments(given)
    if found.value is None:
        raise Refusal(f"the model called '{call.function.name}' with arguments that are no JSON object")
    return found.value


def chat_tools(tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The tools of a sampling request as a chat API takes them, but for their names: those are the server's."""
    return [
        {
            "type": "function",
            "function": {
                "name": encodable(str(tool["name"])),
                "description": shortened(readable(str(tool.get("description") or "")), MAX_DESCRIPTION_CHARS),
                "parameters": object_schema(tool.get("inputSchema")),
            },
        }
        for tool in tools
    ]


def chat_messages(system: str | None, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a sampling request as a chat API takes them.

    Raises:
        Refusal: They hold what a model can't be given.
    """
    chat: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        content = message.get("content")
        blocks = [
            block for block in (content if isinstance(content, list) else [content]) if isinstance(block, Mapping)
        ]
        chat += [_result(block) for block in blocks if block.get("type") == "tool_result"]
        calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
        parts = [_part(block) for block in blocks if block.get("type") not in ("tool_use", "tool_result")]
        if not parts and not calls:
            continue
        texts = [part["text"] for part in parts if part["type"] == "text"]
        whole = len(texts) == len(parts)
        said = {"role": str(message.get("role")), "content": "\n".join(texts) if whole else parts}
        chat.append({**said, "content": said["content"] or None, "tool_calls": calls} if calls else said)
    return chat


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(block.get("input") or {}, ensure_ascii=False)
    function = {"name": legal_name(str(block.get("name"))), "arguments": arguments}
    return {"id": str(block.get("id")), "type": "function", "function": function}


def _result(block: Mapping[str, Any]) -> dict[str, Any]:
    result = read_result(
        block.get("content") or [],
        structured_content=block.get("structuredContent"),
        is_error=bool(block.get("isError")),
    )
    return {"role": "tool", "tool_call_id": str(block.get("toolUseId")), "content": result.message}


def _part(block: Mapping[str, Any]) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": f"data:{block.get('mimeType')};base64,{block.get('data')}"}}
    if kind == "audio":
        format = str(block.get("mimeType")).rpartition("/")[2].removeprefix("x-")
        return {"type": "input_audio", "input_audio": {"data": block.get("data"), "format": format}}
    raise Refusal(f"content of the type {kind!r} can't be sampled from")
