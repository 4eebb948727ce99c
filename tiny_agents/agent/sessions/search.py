"""Finding words in saved conversations.

The index (SQLite's FTS5, by groups of three characters, so that every language has parts of words) is brought up to date
when somebody searches: writing costs nothing more, and a Python without FTS5 writes the same file. Without it, and for
words of fewer than three characters, every message is looked at: the same is found, more slowly.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tiny_agents.agent.sessions.requests import text_of
from tiny_agents.agent.sessions.rows import INFO_COLUMNS, info_from
from tiny_agents.agent.sessions.schema import transaction
from tiny_agents.agent.sessions.types import Plain, SessionInfo
from tiny_agents.mcp_client.text import encodable

BATCH = 500
"""Messages that are indexed in one transaction: others write in between."""
CONTEXT_CHARS = 60

_INFO = ", ".join(f"sessions.{column.strip()}" for column in INFO_COLUMNS.split(","))


@dataclass(frozen=True, slots=True)
class Found:
    """A session, and where in it the words are: the number of the message (from 1) and the text around the first word."""

    info: SessionInfo
    message: int
    role: str
    excerpt: str


def words_of(message: Plain) -> str:
    """What of a message is searched: its text, its tool calls, and what the model thought."""
    calls = [call.get("function", {}) for call in message.get("tool_calls") or ()]
    parts = [text_of(message), *(f"{call.get('name')} {call.get('arguments')}" for call in calls)]
    parts += [message.get("reasoning") or "", message.get("reasoning_content") or ""]
    return "\n".join(part for part in parts if part)


def search(connection: sqlite3.Connection, text: str, limit: int) -> Sequence[Found]:
    """The sessions with a message that holds all words of `text`."""
    words = [encodable(word.casefold()) for word in text.split()]
    if not words:
        return []
    indexed = min(map(len, words)) >= 3 and _index(connection)
    messages = _by_index(connection, words) if indexed else _by_looking(connection)
    found: dict[str, Found] = {}
    for *info, position, body in messages:
        message = json.loads(body)
        said = words_of(message)
        folded = said.casefold()
        if info[0] not in found and message.get("role") != "system" and all(word in folded for word in words):
            excerpt = _excerpt(said, folded.find(words[0]))
            found[info[0]] = Found(info_from(tuple(info)), position + 1, message["role"], excerpt)
            if len(found) >= limit:
                break
    return list(found.values())


def _by_index(connection: sqlite3.Connection, words: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    phrases = " ".join('"' + word.replace('"', '""') + '"' for word in words)
    return connection.execute(
        f"SELECT {_INFO}, position, body FROM message_index JOIN messages ON messages.key = message_index.rowid"
        " JOIN sessions ON sessions.key = session WHERE message_index MATCH ? AND replaced IS NULL"
        " ORDER BY sessions.updated DESC, position DESC",
        (phrases,),
    )


def _by_looking(connection: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    return connection.execute(
        f"SELECT {_INFO}, position, body FROM messages JOIN sessions ON sessions.key = session WHERE replaced IS NULL"
        " ORDER BY sessions.updated DESC, position DESC"
    )


def _excerpt(text: str, at: int) -> str:
    start = max(at - CONTEXT_CHARS // 2, 0)
    end = start + CONTEXT_CHARS * 2
    middle = " ".join(text[start:end].split())
    return ("…" if start else "") + middle + ("…" if end < len(text) else "")


# ---- the index


def _index(connection: sqlite3.Connection) -> bool:
    """Bring the index up to date; False where this SQLite has none to offer, or the file can't be written."""
    try:
        connection.execute("CREATE VIRTUAL TABLE IF NOT EXISTS message_index USING fts5 (words, tokenize = 'trigram')")
        while _index_some(connection):
            pass
    except sqlite3.OperationalError:
        return False
    return True


def _index_some(connection: sqlite3.Connection) -> bool:
    """Index the next messages; False where none are left."""
    with transaction(connection):
        rows = connection.execute(
            "SELECT key, body FROM messages WHERE key >"
            " coalesce((SELECT rowid FROM message_index ORDER BY rowid DESC LIMIT 1), 0) ORDER BY key LIMIT ?",
            (BATCH,),
        ).fetchall()
        connection.executemany(
            "INSERT INTO message_index (rowid, words) VALUES (?, ?)",
            ((key, encodable(words_of(json.loads(body)).casefold())) for key, body in rows),
        )
    return len(rows) == BATCH


def forget(connection: sqlite3.Connection, session_ids: Iterable[str]) -> None:
    """Take sessions out of the index, and what was overwritten since it was indexed; the words themselves are gone."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'message_index'").fetchone():
        return
    for session_id in session_ids:
        connection.execute(
            "DELETE FROM message_index WHERE rowid IN"
            " (SELECT messages.key FROM messages JOIN sessions ON sessions.key = session WHERE id = ?)",
            (session_id,),
        )
    connection.execute("DELETE FROM message_index WHERE rowid NOT IN (SELECT key FROM messages)")
    connection.execute("INSERT INTO message_index (message_index) VALUES ('optimize')")
