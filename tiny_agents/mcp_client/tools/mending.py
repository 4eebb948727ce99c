"""What servers send that is almost right -> right, so that one odd tool doesn't cost all the rest. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tiny_agents.mcp_client.transports.bounds import too_deep

MAX_TOOLS = 10_000
"""Most tools of one server that are listed."""

SHOWN_PROBLEMS = 3

_OPTIONAL: dict[str, type] = {
    "title": str,
    "description": str,
    "outputSchema": dict,
    "annotations": dict,
    "icons": list,
    "execution": dict,
    "_meta": dict,
}
_HINTS: dict[str, type] = {
    "title": str,
    "readOnlyHint": bool,
    "destructiveHint": bool,
    "idempotentHint": bool,
    "openWorldHint": bool,
}
_TASKS = ("forbidden", "optional", "required")

_LONGEST_MS = 10 * 365 * 86_400_000
_KEPT = frozenset({"tools", "resources", "resourceTemplates", "prompts", "contents", "supportedVersions"})
"""Results with one of these can be kept for a while."""


def mended_tools(tools: list[Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The tools of a list as the protocol wants them, and what was wrong.

    A schema without a type is one of an object, a tool without a schema takes no arguments, and what is optional but of the
    wrong kind is taken away. A tool that can't be called, without a name or with arguments that are no object, is left out;
    so is one whose schemas are nested too deeply for any use, and what is more than `MAX_TOOLS` on one page.
    """
    kept: list[dict[str, Any]] = []
    problems: list[str] = []
    if len(tools) > MAX_TOOLS:
        problems.append(f"it has {len(tools):,} entries, of which the first {MAX_TOOLS:,} are used")
    for position, tool in enumerate(tools[:MAX_TOOLS]):
        name = tool.get("name") if isinstance(tool, Mapping) else None
        if not isinstance(name, str):
            problems.append(f"entry {position} has no name, and is left out")
            continue
        if too_deep(tool):
            problems.append(f"'{name}' is nested too deeply, and is left out")
            continue
        schema = tool.get("inputSchema")
        if schema is None:
            problems.append(f"'{name}' has no inputSchema")
            schema = {}
        if not isinstance(schema, Mapping) or schema.get("type") not in (None, "object"):
            problems.append(f"'{name}' takes no object, and is left out")
            continue
        schema, odd = _mended_schema(schema)
        problems += (f"the {key} of '{name}' is not valid" for key in odd)
        wrong = [
            key for key, kind in _OPTIONAL.items() if tool.get(key) is not None and not isinstance(tool[key], kind)
        ]
        problems += (f"the {key} of '{name}' is not of the right kind" for key in wrong)
        good = {key: _mended_option(key, value) for key, value in tool.items() if key not in wrong}
        kept.append({**good, "inputSchema": {**schema, "type": "object"}})
        if (output := good.get("outputSchema")) is not None:
            if output.get("type", "object") == "object":
                kept[-1]["outputSchema"] = {**_mended_schema(output)[0], "type": "object"}
            else:  # results are checked by it, nothing else; older versions of the protocol know no other type
                del kept[-1]["outputSchema"]
    return kept, problems


def _mended_option(key: str, value: Any) -> Any:
    """What is optional in a tool, without what is odd in it."""
    if key == "annotations" and isinstance(value, dict):
        return {
            hint: said for hint, said in value.items() if said is not None and isinstance(said, _HINTS.get(hint, ()))
        }
    if key == "icons" and isinstance(value, list):
        return [icon for icon in value if _is_icon(icon)]
    if key == "execution" and isinstance(value, dict) and value.get("taskSupport") not in (None, *_TASKS):
        return {name: said for name, said in value.items() if name != "taskSupport"}
    return value


def _is_icon(icon: Any) -> bool:
    return (
        isinstance(icon, dict)
        and icon.keys() <= {"src", "mimeType"}
        and all(isinstance(v, str) for v in icon.values())
        and "src" in icon
    )


def complete(result: dict[str, Any]) -> None:
    """Add what 2026-07-28 wants in each result, and older versions don't mind.

    A result that doesn't say so isn't part of an exchange but the whole answer; one that doesn't say how long it holds, or
    says what makes no sense, holds for no time.
    """
    if not isinstance(result.get("resultType"), str):
        result["resultType"] = "complete"
    if not isinstance(result.get("_meta", {}), dict):
        del result["_meta"]
    if not _KEPT.isdisjoint(result):
        ttl = result.get("ttlMs")
        if isinstance(ttl, bool) or not isinstance(ttl, int) or not 0 <= ttl <= _LONGEST_MS:
            result["ttlMs"] = 0
        if result.get("cacheScope") not in ("private", "public"):
            result["cacheScope"] = "private"


def mended_progress(params: Any) -> dict[str, Any] | None:
    """What a report of progress says, without a total that no float can hold; None where it says nothing of use.

    One of 400 digits would end the connection where it is computed with.
    """
    if not isinstance(params, dict) or not _is_finite(params.get("progress")):
        return None
    total = params.get("total")
    return params if total is None or _is_finite(total) else {k: v for k, v in params.items() if k != "total"}


def _is_finite(number: Any) -> bool:
    try:
        return isinstance(number, (int, float)) and math.isfinite(number)
    except OverflowError:
        return False


def _mended_schema(schema: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A schema without those keys of its first level that the protocol wants otherwise, and which they are."""
    required = schema.get("required")
    odd = []
    if not isinstance(schema.get("properties", {}), dict):
        odd.append("properties")
    if required is not None and not (isinstance(required, list) and all(isinstance(name, str) for name in required)):
        odd.append("required")
    return {key: value for key, value in schema.items() if key not in odd}, odd


def mended_id(message: Any) -> Any:
    """A message whose id is a whole number also where its server writes it as `1.0`."""
    id = message.get("id") if isinstance(message, dict) else None
    return {**message, "id": int(id)} if isinstance(id, float) and id.is_integer() else message


def answered_id(message: Any) -> int | str | None:
    """Which request a message answers, be the answer valid or not; None where it is no answer."""
    if not isinstance(message, dict) or "method" in message or not message.keys() & {"result", "error"}:
        return None
    id = message.get("id")
    return id if isinstance(id, (int, str)) and not isinstance(id, bool) else None


def said_of(message: Any) -> str:
    """What an answer says went wrong, where its error is not of the protocol's shape; empty where it is no error."""
    error = message.get("error") if isinstance(message, dict) else None
    said = error.get("message") if isinstance(error, dict) else error
    return said if isinstance(said, str) else "" if error is None else f"an error without words: {str(error)[:200]}"


def listed(problems: list[str]) -> str:
    """The first of many problems, on one line."""
    more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
    return "; ".join(problems[:SHOWN_PROBLEMS]) + more
