"""A tool's answer that is almost right -> right, so that one odd part doesn't cost all the rest. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tiny_agents.mcp_client.text import readable

MAX_PARTS = 10_000
"""Most parts of one answer; each costs a hundred times the memory of its bytes."""

_TYPE_CHARS = 40


def mended_answer(result: dict[str, Any]) -> dict[str, Any]:
    """The answer to `tools/call` as the protocol wants it; one that isn't the end of a call comes back as it is.

    A part that isn't valid becomes a text that says so; data that is no object becomes text; what is optional and of the
    wrong kind is left out. An answer without any content stays one that isn't valid.
    """
    if isinstance(kind := result.get("resultType"), str) and kind != "complete":
        return result
    good = {key: value for key, value in result.items() if key not in ("_meta", "structuredContent", "toolResult")}
    if isinstance(result.get("_meta"), dict):
        good["_meta"] = result["_meta"]
    good["isError"] = _flag(result.get("isError"))
    data = result.get("structuredContent", result.get("toolResult"))  # the latter before 2024-11-05
    if isinstance(data, dict):
        good["structuredContent"] = data
    if isinstance(given := result.get("content"), list):
        good["content"] = [_part(part) for part in given[:MAX_PARTS]]
        if len(given) > MAX_PARTS:
            said = f"Cut here: these are the first {MAX_PARTS:,} of {len(given):,} parts."
            good["content"].append(_note(said))
    elif given is None and (data is not None or good["isError"]):
        good["content"] = []
    if data is not None and good.get("content") == [] and not isinstance(data, dict):
        good["content"] = [{"type": "text", "text": _compact(data)}]
    return good


def _flag(value: Any) -> bool:
    return value.strip().lower() not in ("", "false", "no", "0") if isinstance(value, str) else bool(value)


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if not isinstance(part, dict):
        return _note("A part of the answer was left out: it isn't valid MCP")
    kind = part.get("type", "text" if isinstance(part.get("text"), str) else None)
    whole = _WHOLE.get(kind) if isinstance(kind, str) else None
    mended = None if whole is None else whole(part)
    if mended is None:
        shown = readable(str(kind))[:_TYPE_CHARS]
        return _note(f"A part of the answer, of the type '{shown}', was left out: it isn't valid MCP")
    return {**{key: value for key, value in mended.items() if _is_fine(key, value)}, "type": kind}


def _is_fine(key: str, value: Any) -> bool:
    check = _CHECKED.get(key)
    return value is not None and (check is None or check(value))


def _annotations(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    audience, priority, when = value.get("audience"), value.get("priority"), value.get("lastModified")
    return (
        (audience is None or (isinstance(audience, list) and all(one in ("user", "assistant") for one in audience)))
        and (priority is None or (isinstance(priority, (int, float)) and 0 <= priority <= 1))
        and (when is None or isinstance(when, str))
    )


_CHECKED: Mapping[str, Callable[[Any], bool]] = {
    "annotations": _annotations,
    "_meta": lambda value: isinstance(value, dict),
    "title": lambda value: isinstance(value, str),
    "description": lambda value: isinstance(value, str),
    "mimeType": lambda value: isinstance(value, str),
    "size": lambda value: isinstance(value, int),
    "icons": lambda value: False,  # nobody looks at them here, and one that is wrong would cost the part
}
"""What is optional in a part, and whether a value of it is of the right kind."""


def _needs(*keys: str) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    return lambda part: part if all(isinstance(part.get(key), str) for key in keys) else None


def _resource(part: dict[str, Any]) -> dict[str, Any] | None:
    resource = part.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("uri"), str):
        return None
    held = {key: resource[key] for key in ("text", "blob") if isinstance(resource.get(key), str)}
    if not held:
        return None
    mime = {"mimeType": resource["mimeType"]} if isinstance(resource.get("mimeType"), str) else {}
    meta = {"_meta": resource["_meta"]} if isinstance(resource.get("_meta"), dict) else {}
    return {**part, "resource": {"uri": resource["uri"], **held, **mime, **meta}}


def _link(part: dict[str, Any]) -> dict[str, Any] | None:
    if not isinstance(uri := part.get("uri"), str):
        return None
    return {**part, "name": part["name"] if isinstance(part.get("name"), str) else uri}


_WHOLE: Mapping[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
    "text": _needs("text"),
    "image": _needs("data", "mimeType"),
    "audio": _needs("data", "mimeType"),
    "resource": _resource,
    "resource_link": _link,
}
"""Parts that have what they need; None for one that hasn't."""


def _note(said: str) -> dict[str, Any]:
    return {"type": "text", "text": f"[{said}]"}


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
