"""Text from outside, made fit for where it goes: an error message, a model, JSON. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tiny_agents.errors import redact

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and newline
    "\u200b\u200e\u200f\u061c\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"  # direction, zero width
    "\U000e0000-\U000e007f\U000e0100-\U000e01ef]"  # tag characters, supplementary variation selectors
)
_SURROGATES = re.compile("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """`text` that can be written as UTF-8: lone surrogates become U+FFFD, pairs the character they mean."""
    if text.isascii() or not _SURROGATES.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def encodable_json(value: Any) -> Any:
    """JSON data with every text in it (keys too) made `encodable`."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable_json(key): encodable_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encodable_json(item) for item in value]
    return value


def readable(text: str) -> str:
    """`text` without what a reader can't see: terminal escapes, controls, direction marks, tag characters.

    Newlines and tabs stay. For text that a person or a model should see whole, such as what a process wrote to its
    standard error or how a server describes a tool: both are places where instructions get hidden.
    """
    text = encodable(text).replace("\r\n", "\n")
    return _UNSEEN.sub("", _ESCAPES.sub("", text))


def escaped(text: str) -> str:
    """`text` with what a reader can't see written out, as `\\x1b` or `\\u202e`: it stays, and does nothing."""
    text = encodable(text).replace("\r\n", "\n")
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, limit: int) -> str:
    """At most the first `limit` characters of `text`, and a sentence that says how much is missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[Cut here: these are the first {limit:,} of {len(text):,} characters.]"


def shortened_json(value: Any, limit: int) -> Any:
    """JSON data with every text in it `shortened`."""
    if isinstance(value, str):
        return shortened(value, limit)
    if isinstance(value, dict):
        return {shortened(str(key), limit): shortened_json(item, limit) for key, item in value.items()}
    return [shortened_json(item, limit) for item in value] if isinstance(value, (list, tuple)) else value


def bounded_json(value: Any, limit: int) -> Any:
    """JSON data of at most about `limit` characters; of larger data its text, `shortened`."""
    if isinstance(value, str):
        return shortened(value, limit)
    if not isinstance(value, (dict, list, tuple)):
        return value
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= limit else shortened(text, limit)


def last_lines(text: str, count: int, width: int = 300) -> list[str]:
    """The last `count` lines of `text` that aren't empty, each at most `width` characters long."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines[-count:]]


def without_secrets(value: Any, secrets: Sequence[str]) -> Any:
    """JSON data with the secrets in its texts replaced by `***`."""
    if isinstance(value, str):
        return redact(value, secrets)
    if isinstance(value, dict):
        return {without_secrets(key, secrets): without_secrets(item, secrets) for key, item in value.items()}
    return [without_secrets(item, secrets) for item in value] if isinstance(value, (list, tuple)) else value
