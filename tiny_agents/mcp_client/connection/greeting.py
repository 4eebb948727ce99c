"""What a server says of itself when it is met, almost right -> right: an odd name is no reason not to use it. Pure."""

from __future__ import annotations

from typing import Any

_FLAGS = ("listChanged", "subscribe")
_OF_OBJECTS = ("experimental", "extensions", "tasks")
_NEVER_NEEDED = ("icons", "websiteUrl", "title", "description")


def mended_greeting(result: dict[str, Any]) -> dict[str, Any]:
    """The answer to `initialize` or `server/discover` as the protocol wants it; what makes no sense counts as unsaid."""
    mended = dict(result)
    if "protocolVersion" in mended:
        mended["protocolVersion"] = str(mended["protocolVersion"])
        mended["serverInfo"] = _who(mended.get("serverInfo"))
    mended["capabilities"] = _capabilities(mended.get("capabilities"))
    if not isinstance(mended.get("instructions"), str):
        mended.pop("instructions", None)
    if not isinstance(mended.get("_meta"), dict):
        mended.pop("_meta", None)
    return mended


def _who(said: Any) -> dict[str, Any]:
    info = said if isinstance(said, dict) else {}
    rest = {key: value for key, value in info.items() if key not in _NEVER_NEEDED}
    named = {key: info[key] if isinstance(info.get(key), str) else "" for key in ("name", "version")}
    return {**rest, **named}


def _capabilities(said: Any) -> dict[str, Any]:
    """A capability is an object; `true` in place of one means that it is there."""
    given = said if isinstance(said, dict) else {}
    return {
        name: _flagged(name, value) if isinstance(value, dict) else {}
        for name, value in given.items()
        if isinstance(value, dict) or value is True
    }


def _flagged(name: str, capability: dict[str, Any]) -> dict[str, Any]:
    if name in _OF_OBJECTS:
        return {key: value for key, value in capability.items() if isinstance(value, dict)}
    return {key: value for key, value in capability.items() if key not in _FLAGS or isinstance(value, bool)}
