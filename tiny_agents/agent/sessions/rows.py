"""Saved values <-> the texts and numbers in rows of the database. Pure."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from tiny_agents.agent.sessions.types import About, SessionInfo
from tiny_agents.mcp_client.text import encodable

INFO_COLUMNS = "id, title, about, created, updated, messages, parent, parent_messages, stop"

_ABOUT_NAMES = frozenset(About.__struct_fields__)


def info_from(row: tuple[Any, ...]) -> SessionInfo:
    """From a row of `INFO_COLUMNS`."""
    id, title, about, created, updated, messages, parent, parent_messages, stop = row
    return SessionInfo(
        id=id,
        title=title,
        about=about_from(about),
        created=created,
        updated=updated,
        messages=messages,
        parent=parent,
        parent_messages=parent_messages,
        stop=stop,
    )


def about_from(text: str) -> About:
    """What this version knows of it."""
    known = {name: value for name, value in json.loads(text).items() if name in _ABOUT_NAMES}
    return About(**{**known, "tools": tuple(known.get("tools", ()))})


def about_text(about: About) -> str:
    """What there is of it, as JSON."""
    return json_text({name: value for name, value in msgspec.structs.asdict(about).items() if value})


def json_text(value: Any) -> str:
    """JSON that can be stored, whatever characters are in it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if encodable(text) == text else json.dumps(value)
