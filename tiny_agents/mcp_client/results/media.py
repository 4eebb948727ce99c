"""Images and sound in tool results -> a message that a model can see or hear. Pure.

A tool message holds text only, in the API that all servers share. So what is no text follows after the tool messages, in
a user message that says where it comes from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, Literal

from tiny_agents.inference.types.chat import ChatCompletionInputMessage

if TYPE_CHECKING:
    from tiny_agents.mcp_client.results.results import ToolResult

TakesImages = Literal["auto"] | bool
"""Whether a model takes images: known, or to be tried out."""

MAX_PART_CHARS = 14_000_000
"""Longest image or sound, in base64: 10 MB, more than most servers take."""

MAX_PARTS = 16
"""Most of them in one turn, the first ones."""

REFUSING_STATUSES = frozenset({400, 404, 413, 415, 422, 500, 501})
"""With these a server may answer to images that its model doesn't take."""

_IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SOUNDS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_INTRODUCTION = "[What the tools returned besides text, in the order of the calls: "


def media_parts(result: ToolResult, *, images: TakesImages, audio: bool) -> list[dict[str, Any]]:
    """The images and sounds of a result as parts of a message; those that no model takes are left to the text."""
    parts = []
    for block in result.content:
        found = block.get("resource") if block.get("type") == "resource" else block
        if not isinstance(found, Mapping):
            continue
        mime = str(found.get("mimeType") or "").partition(";")[0].strip().lower()
        data = found.get("data") if block.get("type") in ("image", "audio") else found.get("blob")
        if not isinstance(data, str) or not data or len(data) > MAX_PART_CHARS:
            continue
        data = data.partition(",")[2] if data.startswith("data:") else data
        if images and mime in _IMAGES:
            parts.append({"type": "image_url", "image_url": {"url": f"data:{mime};base64,{data}"}})
        elif audio and mime in _SOUNDS:
            parts.append({"type": "input_audio", "input_audio": {"data": data, "format": _SOUNDS[mime]}})
    return parts


def media_message(parts: Sequence[tuple[str, dict[str, Any]]]) -> ChatCompletionInputMessage:
    """The message with parts and the names of the tools they come from."""
    kept = parts[:MAX_PARTS]
    listed = ", ".join(f"{_KINDS[part['type']]} from '{tool}'" for tool, part in kept)
    more = f", and {len(parts) - len(kept)} more that are left out" if len(parts) > len(kept) else ""
    introduction = {"type": "text", "text": f"{_INTRODUCTION}{listed}{more}.]"}
    return ChatCompletionInputMessage(role="user", content=[introduction, *(part for _, part in kept)])


_KINDS = {"image_url": "an image", "input_audio": "a sound"}


def hide_media(messages: MutableSequence[Any]) -> bool:
    """Leave only words of the messages that `media_message` made, in place; says whether there were any."""
    found = False
    for index, message in enumerate(messages):
        content = message.get("content")
        if is_tool_media(message) and isinstance(content, list) and len(content) > 1:
            words = f"{content[0].get('text')[:-1]} This model can't be shown them.]"
            messages[index] = ChatCompletionInputMessage(role="user", content=words)
            found = True
    return found


def is_tool_media(message: Any) -> bool:
    """Whether a message in the user's name is one of ours, with what tools returned (or words in place of it)."""
    content = message.get("content") if message.get("role") == "user" else None
    first = content[0] if isinstance(content, list) and content else {"text": content}
    text = first.get("text") if hasattr(first, "get") else None
    return isinstance(text, str) and text.startswith(_INTRODUCTION)


def insert_after(messages: MutableSequence[Any], last: object, added: Any) -> None:
    """Insert `added` behind the message `last`, wherever that is by now; nowhere if it is gone."""
    indices: Iterable[int] = (index for index, message in enumerate(messages) if message is last)
    if (index := next(iter(indices), None)) is not None:
        messages.insert(index + 1, added)
