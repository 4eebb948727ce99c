"""`SessionDatabase`: conversations in one SQLite file. Blocks, and belongs to one thread at a time."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tiny_agents.agent.sessions import blobs, search
from tiny_agents.agent.sessions.history import before_last_requests, unfinished_from, whole_until
from tiny_agents.agent.sessions.leases import Leases
from tiny_agents.agent.sessions.rows import INFO_COLUMNS, about_text, info_from, json_text
from tiny_agents.agent.sessions.schema import VERSION, backup_path, open_file, transaction, translated
from tiny_agents.agent.sessions.session import find_session
from tiny_agents.agent.sessions.types import Change, SavedMessage, SessionInfo, StoredSession, new_id
from tiny_agents.data_dir import data_dir
from tiny_agents.errors import SessionInUseError, SessionNotFoundError
from tiny_agents.mcp_client.text import encodable

_HAS_SOMETHING = "messages > 1 OR EXISTS (SELECT 1 FROM messages WHERE session = sessions.key AND replaced IS NOT NULL)"


def default_path(env: Mapping[str, str] = os.environ) -> Path:
    """Where the command line saves conversations: `sessions/sessions.db` in the user's data folder."""
    return data_dir(env) / "sessions" / "sessions.db"


class SessionDatabase:
    """Saved conversations, for who wants to look through them.

        with SessionDatabase() as sessions:
            for info in sessions.list():
                print(info.id, info.title)

    Nothing is opened before it is needed. Any number of processes may use the file at the same time.

    Args:
        path: The SQLite file; by default the one of the command line.

    Raises (all methods):
        SessionStoreError: The file can't be read or written.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.path = Path(path) if path is not None else default_path()
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._leases = Leases(self.path.parent / "open")
        self._revisions: dict[str, int] = {}

    def __enter__(self) -> SessionDatabase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and let others open our sessions. As often as you like; the next use opens it again."""
        self._leases.give_all_back()
        connection, self._connection = self._connection, None
        if connection is not None:
            with translated(self.path):
                connection.close()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._connection is None:
            self._connection = open_file(self.path)
        with translated(self.path):
            yield self._connection

    # ---- looking

    def list(self, agent: str | None = None) -> list[SessionInfo]:
        """All sessions, the last changed first; those without a request are left out.

        Args:
            agent: Only those of this agent, by name or reference.
        """
        query = f"SELECT {INFO_COLUMNS} FROM sessions WHERE {_HAS_SOMETHING} ORDER BY updated DESC, key DESC"
        with self._open() as connection:
            found = [info_from(row) for row in connection.execute(query)]
        return [info for info in found if agent is None or agent in (info.about.agent, info.about.agent_name)]

    def find(self, wanted: str) -> SessionInfo:
        """The session of that id, the unique start of one, or "last".

        Raises:
            SessionNotFoundError: There is none, or more than one.
        """
        return find_session(self.list(), wanted)

    def read(self, session_id: str) -> StoredSession:
        """Everything of a session; it may be open elsewhere.

        Raises:
            SessionNotFoundError: There is no such session.
        """
        with self._open() as connection:
            connection.execute("BEGIN")  # one moment of it, whatever others write meanwhile
            try:
                return self._read(connection, session_id)[0]
            finally:
                connection.execute("COMMIT")

    def _read(self, connection: sqlite3.Connection, session_id: str) -> tuple[StoredSession, int]:
        query = f"SELECT {INFO_COLUMNS}, key, run_start, partial, context, revision FROM sessions WHERE id = ?"
        row = connection.execute(query, (session_id,)).fetchone()
        if row is None:
            raise SessionNotFoundError(f"there is no session {session_id!r}", session=session_id)
        *info, key, run_start, partial, context, revision = row
        messages = tuple(self._messages(connection, key, "replaced IS NULL ORDER BY position"))
        summed_up = json.loads(context) if context else None
        return StoredSession(info_from(tuple(info)), messages, run_start, partial, summed_up), revision

    def _messages(self, connection: sqlite3.Connection, key: int, which: str) -> Iterator[SavedMessage]:
        uses: dict[int, dict[str, bytes]] = {}
        query = """SELECT message, hash, data FROM messages JOIN blob_uses ON message = messages.key JOIN blobs USING (hash)
                   WHERE session = ?"""
        for message, digest, data in connection.execute(query, (key,)):
            uses.setdefault(message, {})[digest] = data
        rows = connection.execute(
            f"SELECT key, body, created, usage FROM messages WHERE session = ? AND {which}", (key,)
        )
        for message, body, created, usage in rows:
            plain = blobs.join(json.loads(body), uses.get(message, {}))
            yield SavedMessage(plain, created, json.loads(usage) if usage else None)

    def kept_aside(self, session_id: str) -> Sequence[SavedMessage]:
        """Messages that were cut off, rewound or replaced, in the order in which they were written."""
        with self._open() as connection:
            row = connection.execute("SELECT key FROM sessions WHERE id = ?", (session_id,)).fetchone()
            return list(self._messages(connection, row[0], "replaced IS NOT NULL ORDER BY key")) if row else []

    def search(self, words: str, *, limit: int = 50) -> Sequence[search.Found]:
        """Sessions with a message that holds all `words`, the last changed first, each with its last such message.

        Upper and lower case are the same; parts of words are found too.
        """
        with self._open() as connection:
            return search.search(connection, words, limit)

    # ---- writing

    def create(self, info: SessionInfo) -> None:
        """Start an empty session, open for us."""
        with self._open() as connection:
            self._leases.take(info.id)
            values = (
                info.id,
                encodable(info.title),
                about_text(info.about),
                info.created,
                info.updated or info.created,
            )
            try:
                with transaction(connection):
                    connection.execute(
                        "INSERT INTO sessions (id, title, about, created, updated, parent, parent_messages,"
                        " messages, partial, revision) VALUES (?, ?, ?, ?, ?, ?, ?, 0, '', 0)",
                        (*values, info.parent, info.parent_messages),
                    )
            except BaseException:
                self._leases.give_back(info.id)
                raise
            self._revisions[info.id] = 0

    def open(self, session_id: str) -> StoredSession:
        """Everything of a session, which is then open for us.

        Raises:
            SessionNotFoundError: There is no such session.
            SessionInUseError: It is open elsewhere.
        """
        self.read(session_id)  # so that a lock is made only for what is there
        with self._open() as connection:
            self._leases.take(session_id)
            try:
                stored, self._revisions[session_id] = self._read(connection, session_id)
            except BaseException:
                self._leases.give_back(session_id)
                raise
        return stored

    def release(self, session_id: str) -> None:
        """Let others open it. A session that nothing was said in is removed."""
        try:
            if self._revisions.pop(session_id, None) is not None:
                self._remove_if_empty(session_id)
        finally:
            self._leases.give_back(session_id)

    def _remove_if_empty(self, session_id: str) -> None:
        empty = f"FROM sessions WHERE id = ? AND NOT ({_HAS_SOMETHING})"
        with self._open() as connection:
            if connection.execute(f"SELECT 1 {empty}", (session_id,)).fetchone():
                with transaction(connection):
                    connection.execute(f"DELETE {empty}", (session_id,))

    def write(self, session_id: str, change: Change) -> None:
        """Save a change to a session that is open for us.

        Raises:
            SessionInUseError: Somebody else changed or deleted it, in spite of our lock.
        """
        with self._open() as connection, transaction(connection):
            row = connection.execute("SELECT key, revision FROM sessions WHERE id = ?", (session_id,)).fetchone()
            if row is None or row[1] != self._revisions.get(session_id):
                what = "deleted" if row is None else "changed"
                raise SessionInUseError(f"session {session_id} was {what} by another process", session=session_id)
            key = row[0]
            _set_aside(connection, key, range(change.length, 1 << 62), change)
            for position, saved in change.puts.items():
                _set_aside(connection, key, range(position, position + 1), change)
                _insert(connection, key, position, saved)
            context = json_text(change.context) if change.context is not None else None
            state = (encodable(change.title), about_text(change.about), change.at, change.length, change.run_start)
            connection.execute(
                "UPDATE sessions SET title = ?, about = ?, updated = ?, messages = ?, run_start = ?, partial = ?, stop = ?,"
                " context = ?, revision = revision + 1 WHERE key = ?",
                (*state, encodable(change.partial), change.stop, context, key),
            )
        self._revisions[session_id] += 1

    # ---- whole sessions

    def fork(self, session_id: str, messages: int | None = None) -> SessionInfo:
        """A new session that starts with what another one holds, which may be open elsewhere.

        Args:
            messages: How many messages to take along (all); the results of a tool call come with it.
        Raises:
            SessionNotFoundError: There is no such session.
            UsageError: It has not so many messages.
        """
        stored = self.read(session_id)
        plain = [saved.message for saved in stored.messages]
        count = len(plain) if messages is None else whole_until(plain, messages)
        info = replace(stored.info, parent=session_id, parent_messages=count)
        run_start = stored.run_start if messages is None else unfinished_from(plain[:count])
        partial = stored.partial if messages is None else ""
        cut = StoredSession(info, stored.messages[:count], run_start, partial, stored.context)
        return self.add(cut)

    def add(self, stored: StoredSession) -> SessionInfo:
        """A session with this content, under a new id."""
        now = self._clock()
        info = replace(stored.info, id=new_id(), created=now, updated=now)
        self.create(info)
        try:
            change = Change(
                puts=dict(enumerate(stored.messages)),
                length=len(stored.messages),
                run_start=stored.run_start,
                partial=stored.partial,
                context=stored.context,
                stop=info.stop,
                title=info.title,
                about=info.about,
                at=now,
            )
            self.write(info.id, change)
        finally:
            self.release(info.id)
        return replace(info, messages=len(stored.messages))

    def rewind(self, session_id: str, requests: int = 1) -> int:
        """Drop the last requests and what came of them, and say how many messages that were. They are kept aside.

        Raises:
            SessionNotFoundError, SessionInUseError: As of `open`.
            UsageError: There were not so many requests.
        """
        stored = self.open(session_id)
        try:
            count = before_last_requests([saved.message for saved in stored.messages], requests)
            change = Change(
                length=count,
                settled=len(stored.messages),
                context=stored.context,
                stop=None,
                title=stored.info.title,
                about=stored.info.about,
                at=self._clock(),
            )
            self.write(session_id, change)
        finally:
            self.release(session_id)
        return len(stored.messages) - count

    def delete(self, session_ids: Iterable[str]) -> None:
        """Remove sessions for good: their text is overwritten in the file, in its log and in the search index.

        Copies from before an update of tiny-agents are removed, too: they hold what the file held then.

        Raises:
            SessionInUseError: One of them is open; nothing is removed.
        """
        session_ids = list(session_ids)
        with self._open() as connection:
            taken: list[str] = []
            try:
                for session_id in session_ids:
                    self._leases.take(session_id)
                    taken.append(session_id)
                with transaction(connection):
                    search.forget(connection, session_ids)
                    connection.executemany("DELETE FROM sessions WHERE id = ?", [(each,) for each in session_ids])
                    connection.execute("DELETE FROM blobs WHERE hash NOT IN (SELECT hash FROM blob_uses)")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                for session_id in taken:
                    self._leases.give_back(session_id)
            for version in range(1, VERSION):
                backup_path(self.path, version).unlink(missing_ok=True)


def _set_aside(connection: sqlite3.Connection, key: int, positions: range, change: Change) -> None:
    """Make room at these positions: what was final is kept aside, what was not is overwritten."""
    first, last = positions.start, positions.stop - 1
    connection.execute(
        "UPDATE messages SET replaced = ? WHERE session = ? AND position BETWEEN ? AND ? AND replaced IS NULL",
        (change.at, key, first, min(last, change.settled - 1)),
    )
    connection.execute(
        "DELETE FROM messages WHERE session = ? AND position BETWEEN ? AND ? AND replaced IS NULL",
        (key, max(first, change.settled), last),
    )


def _insert(connection: sqlite3.Connection, key: int, position: int, saved: SavedMessage) -> None:
    message, data = blobs.split(saved.message)
    row: tuple[Any, ...] = (
        key,
        position,
        saved.created,
        json_text(message),
        json_text(saved.usage) if saved.usage else None,
    )
    cursor = connection.execute(
        "INSERT INTO messages (session, position, created, body, usage) VALUES (?, ?, ?, ?, ?)", row
    )
    for digest, blob in data.items():
        connection.execute("INSERT OR IGNORE INTO blobs (hash, data) VALUES (?, ?)", (digest, blob))
        connection.execute("INSERT INTO blob_uses (message, hash) VALUES (?, ?)", (cursor.lastrowid, digest))
