"""Which messages of a conversation are what the user said, and their words. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.results.media import is_tool_media

if TYPE_CHECKING:
    from collections.abc import Sequence

TITLE_CHARS = 80


def text_of(message: Any) -> str:
    """The words of a message, of all its parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") for part in parts if hasattr(part, "get"))
    return "\n".join(text for text in texts if isinstance(text, str))


def first_request(messages: Sequence[Any]) -> str:
    """The words of the first request; none where there is none."""
    return next((text_of(message) for message in messages if is_request(message)), "")


def title_of(text: str) -> str:
    """The start of a text, on one line."""
    words = " ".join(text.split())
    return words if len(words) <= TITLE_CHARS else words[: TITLE_CHARS - 1] + "…"


def is_request(message: Any) -> bool:
    """Whether this is something the user said (images that tools returned are in the user's name, too)."""
    return message.get("role") == "user" and not is_tool_media(message)


def requests_in(messages: Sequence[Any]) -> list[Any]:
    """The requests of a conversation, the first one first."""
    return [message for message in messages if is_request(message)]
