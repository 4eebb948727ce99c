"""A saved conversation as a file: JSON to keep and to read back, Markdown to read. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tiny_agents.agent.context.cuts import lead_of
from tiny_agents.agent.sessions.history import unfinished_from
from tiny_agents.agent.sessions.requests import text_of, title_of
from tiny_agents.agent.sessions.types import About, Plain, SavedMessage, SessionInfo, StoredSession
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.calls.planning import parse_arguments

FORMAT = "tiny-agents-session"
FORMAT_VERSION = 1

_ABOUT_NAMES = frozenset(About.__struct_fields__)


def to_json(stored: StoredSession, kept_aside: Iterable[SavedMessage] = ()) -> str:
    """The session as JSON; docs/sessions.md has its shape. Images are in it."""
    info = stored.info
    shape = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "id": info.id,
        "title": info.title,
        "created": _time(info.created),
        "updated": _time(info.updated),
        "parent": info.parent,
        "about": {name: value for name, value in msgspec.structs.asdict(info.about).items() if value},
        "messages": [saved.message for saved in stored.messages],
        "details": [_details(saved) for saved in stored.messages],
    }
    if stored.context is not None:
        shape["context"] = stored.context
    aside = [{"message": saved.message, **_details(saved)} for saved in kept_aside]
    return json.dumps(shape | ({"kept_aside": aside} if aside else {}), indent=2, ensure_ascii=False) + "\n"


def _details(saved: SavedMessage) -> Plain:
    return {"created": _time(saved.created)} | ({"usage": saved.usage} if saved.usage else {})


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def from_json(text: str) -> StoredSession:
    """What `to_json` wrote, or a bare list of messages of the chat API.

    Raises:
        UsageError: It is neither, or the messages are none that a model could be sent.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise UsageError(f"this is no JSON: {error}") from None
    except RecursionError:
        raise UsageError("this is nested too deeply to be a session") from None
    if isinstance(data, list):
        data = {"format": FORMAT, "version": FORMAT_VERSION, "messages": data}
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UsageError(f'this is no exported session: "format" must be "{FORMAT}"')
    if data.get("version") != FORMAT_VERSION:
        version = data.get("version")
        raise UsageError(f"this is version {version!r} of the format; this tiny-agents reads version {FORMAT_VERSION}")
    messages = _checked(data.get("messages"))
    details = data.get("details")
    if not isinstance(details, list) or len(details) != len(messages):
        details = [{}] * len(messages)
    details = [detail if isinstance(detail, dict) else {} for detail in details]
    saved = tuple(
        SavedMessage(message, _seconds(detail.get("created")), detail.get("usage"))
        for message, detail in zip(messages, details, strict=True)
    )
    about = data.get("about")
    known: dict[str, Any] = {
        name: value
        for name, value in (about if isinstance(about, dict) else {}).items()
        if name in _ABOUT_NAMES and isinstance(value, str)
    }
    title = data.get("title")
    info = SessionInfo(
        id="",
        title=title_of(title if isinstance(title, str) else next(map(text_of, _by_user(messages)), "")),
        about=About(**known),
        messages=len(messages),
    )
    return StoredSession(info, saved, unfinished_from(messages), context=_context(data.get("context")))


def _context(given: Any) -> Plain | None:
    """What the model was sent in place of older messages, as `Context.saved` has it.

    Raises:
        UsageError: It is something else.
    """
    if given is None:
        return None
    if not isinstance(given, dict):
        raise UsageError('"context" must be an object')
    for name, value in given.items():
        if name in _POSITIONS and not (isinstance(value, list) and all(type(place) is int for place in value)):
            raise UsageError(f'"context": "{name}" must be a list of whole numbers')
        if name in _CONTEXT_KINDS and type(value) is not _CONTEXT_KINDS[name]:
            raise UsageError(
                f'"context": "{name}" must be {"a text" if _CONTEXT_KINDS[name] is str else "a whole number"}'
            )
    return {name: value for name, value in given.items() if name in (*_POSITIONS, *_CONTEXT_KINDS)}


_POSITIONS = ("pinned", "carried")
_CONTEXT_KINDS: Mapping[str, type] = {"summary": str, "upto": int, "by": str}


def _by_user(messages: Sequence[Plain]) -> Iterable[Plain]:
    return (message for message in messages if message.get("role") == "user")


_ROLES = ("system", "developer", "user", "assistant", "tool")
_LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def _checked(messages: Any) -> list[Plain]:
    """Messages that a strict server takes.

    Raises:
        UsageError: These are none.
    """
    if not isinstance(messages, list) or not messages:
        raise UsageError('"messages" must be a list of messages')
    open_calls: dict[str, str] = {}
    seen: set[str] = set()
    for number, message in enumerate(messages, 1):
        role = message.get("role") if isinstance(message, dict) else None
        if role not in _ROLES:
            raise UsageError(f"message {number} has no role that is known")
        content = message.get("content")
        if role == "tool":
            name = open_calls.pop(str(message.get("tool_call_id")), None)
            if name is None:
                raise UsageError(f"message {number} is the result of a tool call that isn't there")
            if message.get("name") not in (None, name):
                raise UsageError(f"message {number} is the result of another tool than the one that was called")
            if not isinstance(content, (str, list)):
                raise UsageError(f"message {number} has no content")
            continue
        if open_calls:
            raise UsageError(f"message {number} comes before the results of all tool calls before it")
        if role == "assistant":
            open_calls = _calls_of(message, number, seen)
            if isinstance(content, list):
                content = message["content"] = text_of(message)
            if not isinstance(content, (str, type(None))) or not (content or open_calls):
                raise UsageError(f"message {number} says nothing")
        elif not isinstance(content, (str, list)) or not content or "tool_calls" in message:
            raise UsageError(f"message {number} has no content, or more than that")
    if open_calls:
        raise UsageError("the last tool calls have no results")
    return messages


def _calls_of(message: Plain, number: int, seen: set[str]) -> dict[str, str]:
    """Names of the tools that a message calls, by the ids of the calls; `seen` are the ids so far."""
    calls = message.get("tool_calls")
    if calls is None or calls == []:
        message.pop("tool_calls", None)
        return {}
    found: dict[str, str] = {}
    for call in calls if isinstance(calls, list) and all(isinstance(call, dict) for call in calls) else [{}]:
        function, call_id = call.get("function"), call.get("id")
        if not isinstance(function, dict) or not isinstance(call_id, str) or not call_id or call_id in seen:
            raise UsageError(f"message {number} has a tool call without a function, or without an id of its own")
        name, arguments = function.get("name"), function.get("arguments")
        if not isinstance(name, str) or not _LEGAL_NAME.fullmatch(name):
            raise UsageError(f"message {number} calls a tool by a name that can't be one")
        if not isinstance(arguments, str) or parse_arguments(arguments, repair=False).kept != arguments:
            raise UsageError(f"message {number} calls {name!r} with arguments that are no JSON object in a text")
        call["type"] = "function"
        seen.add(call_id)
        found[call_id] = name
    return found


def _seconds(text: Any) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return 0.0


# ---- Markdown

_HEADINGS = {"system": "System prompt", "developer": "System prompt", "user": "User", "assistant": "Assistant"}


def to_markdown(stored: StoredSession) -> str:
    """The session as a page to read: what was said as it was written, tool calls and results as quoted blocks."""
    info = stored.info
    model = ", ".join(part for part in (info.about.agent_name, info.about.model) if part)
    lines = [
        f"# {info.title or 'Conversation'}",
        "",
        f"Session {info.id}, {_time(info.updated)}" + (f", {model}" if model else ""),
    ]
    summed_up = _summed_up(stored)
    for number, saved in enumerate(stored.messages):
        if number == summed_up and stored.context is not None:
            lines += ["", *_summary(str(stored.context.get("summary") or ""))]
        lines += ["", *_section(saved.message)]
    return "\n".join(lines) + "\n"


def _summed_up(stored: StoredSession) -> int | None:
    """The index of the first message that a summary doesn't stand for; None without one."""
    upto = (stored.context or {}).get("upto")
    return lead_of([saved.message for saved in stored.messages]) + upto if isinstance(upto, int) else None


def _summary(text: str) -> list[str]:
    if not text:
        return ["*(What is above is left out for the model.)*"]
    return ["**What is above is left out for the model, which gets this in its place**", "", *_block(text)]


def _section(message: Plain) -> list[str]:
    role = str(message.get("role"))
    if role == "tool":
        return [f"**Result of `{message.get('name') or 'tool'}`**", "", *_block(text_of(message))]
    lines = [f"## {_HEADINGS.get(role, role)}"]
    text = text_of(message)
    if text:
        lines += ["", text]
    content = message.get("content")
    media = [part.get("type") for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    lines += [f"\n*({kind} is left out here)*" for kind in media if kind != "text"]
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        lines += ["", f"**Calls `{function.get('name')}`**", "", *_block(str(function.get("arguments") or ""), "json")]
    return lines


def _block(text: str, language: str = "") -> list[str]:
    """A fenced block that nothing in the text can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return [fence + language, text, fence]
