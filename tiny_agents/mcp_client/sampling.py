"""A server's request for a text of our model: from the protocol's words to a chat API's, and asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tiny_agents.errors import InferenceError
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.mcp_client.host import Refusal, SamplingReply, SamplingRequest

logger = logging.getLogger("tiny_agents.mcp_client")


async def sample(client: AsyncInferenceClient, model: str | None, request: SamplingRequest) -> SamplingReply:
    """Ask the model what a server wants to know.

    Raises:
        Refusal: The model could not be asked; why is logged, not told to the server.
    """
    try:
        answer = await client.chat.completions.create(
            list(request.messages),
            model=model,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            stop=None if request.stop is None else list(request.stop),
        )
    except InferenceError as error:
        logger.warning("MCP server '%s' asked the model in vain: %s", request.server, error)
        raise Refusal("the model could not be asked") from error
    choice = answer.choices[0]
    text = choice.message.content or ""
    return SamplingReply(text, answer.model or model or "unknown", choice.finish_reason == "length")


def chat_messages(system: str | None, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The messages of a sampling request as a chat API takes them.

    Raises:
        Refusal: They hold what a model can't be given.
    """
    chat: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in messages:
        content = message.get("content")
        blocks = content if isinstance(content, list) else [content]
        parts = [_part(block) for block in blocks if isinstance(block, Mapping)]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        whole = len(texts) == len(parts)
        chat.append({"role": str(message.get("role")), "content": "\n".join(texts) if whole else parts})
    return chat


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
