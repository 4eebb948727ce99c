"""What is saved of a conversation: plain values. Times are Unix seconds."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

Plain = dict[str, Any]
"""A message as it goes over the wire: plain JSON data, without what is None."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """With whom a conversation was had. Nothing here is secret: no keys, no headers, no values of inputs.

    Attributes:
        agent: What loads the agent again: an absolute path, a bundled name, `user/agent` on the Hub.
        agent_name: What its definition calls it.
        agent_hash: Checksum of the definition as it is written, so that a change is noticed.
        model, provider, endpoint: Which model, where; `endpoint` without user, password and query.
        model_from: Who chose it (see `agent.model_choice`).
        tools: Names of the tools that were offered, once there was a request.
    """

    agent: str | None = None
    agent_name: str | None = None
    agent_hash: str | None = None
    model: str | None = None
    provider: str | None = None
    endpoint: str | None = None
    model_from: str | None = None
    tools: tuple[str, ...] = ()


class SavedMessage(msgspec.Struct, frozen=True):
    """A message, when it was complete, and what its turn cost where the server said so (`usage` as it came)."""

    message: Plain
    created: float
    usage: Plain | None = None


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A saved conversation as a list shows it.

    Attributes:
        title: Start of the first request, on one line.
        messages: How many there are, the system prompt included.
        parent: The session it was forked from, and `parent_messages`, how many messages it took along.
        stop: How its last request ended (see `agent.loop.rules`); None before the first one, and while one is worked on.
    """

    id: str
    title: str = ""
    about: About = msgspec.field(default_factory=About)
    created: float = 0.0
    updated: float = 0.0
    messages: int = 0
    parent: str | None = None
    parent_messages: int | None = None
    stop: str | None = None


class StoredSession(msgspec.Struct, frozen=True):
    """A saved conversation with its messages.

    Attributes:
        run_start: Index of the request that was being worked on when this was saved; None if none was.
        partial: What had come of an answer that was being written.
        context: What the model was sent in place of the older messages; see `agent.context`.
    """

    info: SessionInfo
    messages: tuple[SavedMessage, ...] = ()
    run_start: int | None = None
    partial: str = ""
    context: Plain | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a conversation; saved as a whole or not at all.

    Attributes:
        puts: Messages that are new or different, by index.
        length: How many messages there are now; those from here on are gone.
        settled: Messages before this index were final. Where one of them is replaced or gone, the old one is kept
            aside: the history is shortened for the model, not for the user.
        run_start, partial, context, stop, title, about: As in `StoredSession` and `SessionInfo`.
        at: When.
    """

    puts: Mapping[int, SavedMessage] = msgspec.field(default_factory=dict)
    length: int
    settled: int = 0
    run_start: int | None = None
    partial: str = ""
    context: Plain | None = None
    stop: str | None = None
    title: str = ""
    about: About = msgspec.field(default_factory=About)
    at: float


def new_id() -> str:
    """An id that nobody else has: 12 hexadecimal digits."""
    return secrets.token_hex(6)
