"""Images and sounds of messages, kept once each and apart from the text. Pure.

In the saved message a reference stands where the base64 was; what comes back is the same to the letter.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any

from tiny_agents.agent.sessions.types import Plain

MIN_CHARS = 4096
"""Shorter ones stay in their message."""

_REFERENCE = re.compile(r"tiny-agents-blob:([0-9a-f]{64}):(.*)", re.DOTALL)
_ENCODED = re.compile(r"(data:[^,]{0,200};base64,)?([A-Za-z0-9+/]+={0,2})")


def split(message: Plain) -> tuple[Plain, dict[str, bytes]]:
    """The message with references, and the blobs they refer to, by their SHA-256."""
    blobs: dict[str, bytes] = {}

    def apart(text: str) -> str:
        if len(text) < MIN_CHARS or not (found := _ENCODED.fullmatch(text)):
            return text
        encoded = found[2]
        try:
            data = b64decode(encoded, validate=True)
        except binascii.Error:
            return text
        if b64encode(data).decode() != encoded:
            return text  # not written the usual way: it would come back different
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return f"tiny-agents-blob:{digest}:{found[1] or ''}"

    return _with_parts(message, apart), blobs


def join(message: Plain, blobs: Mapping[str, bytes]) -> Plain:
    """The message as it was. References to blobs that aren't there (somebody wrote such a text) stay what they are."""

    def together(text: str) -> str:
        found = _REFERENCE.fullmatch(text)
        if found is None or found[1] not in blobs:
            return text
        return found[2] + b64encode(blobs[found[1]]).decode()

    return _with_parts(message, together) if blobs else message


def _with_parts(message: Plain, change: Callable[[str], str]) -> Plain:
    """The message with each text in its parts changed; what is no list of parts is words, and stays."""
    content = message.get("content")
    return {**message, "content": _changed(content, change)} if isinstance(content, list) else message


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _changed(item, change) for key, item in value.items()}
    return value
