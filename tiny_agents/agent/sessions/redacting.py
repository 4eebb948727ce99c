"""A message without secrets. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from tiny_agents.errors import redact

if TYPE_CHECKING:
    from tiny_agents.agent.sessions.types import Plain


def redacted(message: Plain, secrets: Collection[str]) -> Plain:
    """`message` with every secret, and everything shaped like an API key, replaced by `***` in all its texts."""
    found = _redacted(message, secrets)
    assert isinstance(found, dict)  # a mapping stays one
    return found


def _redacted(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        return value if _is_media(value) else redact(value, secrets)
    if isinstance(value, list):
        return [_redacted(item, secrets) for item in value]
    if isinstance(value, dict):
        return {
            key: _arguments(item, secrets) if key == "arguments" and isinstance(item, str) else _redacted(item, secrets)
            for key, item in value.items()
        }
    return value


def _arguments(text: str, secrets: Collection[str]) -> str:
    """The arguments of a tool call, JSON text: a secret in it may be written with escapes, and it has to stay JSON."""
    try:
        value = json.loads(text)
    except ValueError:
        return redact(text, secrets)
    clean = _redacted(value, secrets)
    return text if clean == value else json.dumps(clean, ensure_ascii=False)


def _is_media(text: str) -> bool:
    """An image or a sound: long, and what looks like a key in it is chance."""
    return text.startswith("data:") and ";base64," in text[:100]


def redacted_start(text: str, secrets: Collection[str]) -> str:
    """The same for a text that goes on: the beginning of a secret at its end is left out."""
    text = redact(text, secrets)
    started = max((_started(text, secret) for secret in secrets), default=0)
    return text[: len(text) - started]


def _started(text: str, secret: str) -> int:
    """How many characters of `secret` the text ends with."""
    return next((count for count in range(len(secret) - 1, 0, -1) if text.endswith(secret[:count])), 0)
