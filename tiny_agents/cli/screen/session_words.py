"""Saved conversations in words and lines for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tiny_agents.agent.sessions.requests import is_request, text_of
from tiny_agents.agent.sessions.types import Plain, SavedMessage, SessionInfo
from tiny_agents.cli.screen.safe_text import neutralise, one_line, shorten

LINES = 8
INDENT = "  "
TITLE_CHARS = 60
ID_COLUMN = 14
"""Where in a list the words about a session begin, behind its id."""

_STEPS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def ago(then: float, now: float) -> str:
    """How long ago, roughly: "3 hours ago"."""
    for seconds, unit in _STEPS:
        if (count := int((now - then) // seconds)) >= 1:
            return f"{count} {unit}{'' if count == 1 else 's'} ago"
    return "just now"


def list_line(info: SessionInfo, now: float, columns: int | None) -> str:
    """A session on one line, cut to `columns` where they are known."""
    title = one_line(info.title) or "(no request)"
    agent = one_line(info.about.agent_name or "")
    count = f"{info.messages} message{'' if info.messages == 1 else 's'}"
    about = ", ".join(part for part in (agent, count, ago(info.updated, now)) if part)
    room = TITLE_CHARS if columns is None else max(columns - len(info.id) - len(about) - 6, 20)
    return f"{info.id}  {one_line(title, room)}  ({about})"


def numbered_title(number: int, saved: SavedMessage) -> str:
    """The line above a message: its number, who said it, which tool."""
    message = saved.message
    name = message.get("name")
    who = (
        f"result of {one_line(str(name))}"
        if message.get("role") == "tool" and name
        else one_line(str(message.get("role")))
    )
    if message.get("role") == "user" and not is_request(message):
        who = "what tools returned besides text"
    tokens = (saved.usage or {}).get("total_tokens")
    return f"{number}. {who}" + (f" ({tokens:,} tokens)" if isinstance(tokens, int) else "")


def message_lines(message: Plain, columns: int, *, full: bool) -> list[str]:
    """What a message says, indented; what is long is cut unless `full`."""
    lines: list[str] = []
    text = text_of(message)
    if text:
        lines += _indented(text, columns, full)
    content = message.get("content")
    parts: Sequence[object] = content if isinstance(content, list) else ()
    media = [str(part.get("type")) for part in parts if isinstance(part, dict) and part.get("type") != "text"]
    lines += [f"{INDENT}({one_line(kind)})" for kind in media]
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        limit = None if full else max(columns - 10, 20)
        lines.append(
            f"{INDENT}▸ {one_line(str(function.get('name')))} {one_line(str(function.get('arguments') or ''), limit)}"
        )
    return lines


def _indented(text: str, columns: int, full: bool) -> list[str]:
    if full:
        return [INDENT + line for line in neutralise(text).split("\n")]
    short = shorten(text, max_lines=LINES, max_columns=columns - len(INDENT) - 1)
    lines = [INDENT + line for line in short.lines]
    return [*lines, f"{INDENT}… {short.cut:,} more characters"] if short.cut else lines
