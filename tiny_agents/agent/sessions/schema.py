"""The file that conversations are saved in: how it is opened, its tables, and how older ones become today's.

SQLite's write-ahead log with `synchronous=FULL`: a transaction that was committed survives the process, and a power cut. A
commit waits for the disk once, some milliseconds at worst, a few times per turn, on a thread of its own: nothing to
a model that takes seconds. (`NORMAL` would save that wait, and lose the last turns when the power goes.)
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from tiny_agents.data_dir import make_private
from tiny_agents.errors import SessionStoreError

APPLICATION_ID = 0x54416765  # "TAge": says whose file it is
BUSY_S = 10.0
"""How long a write waits for those of other processes, each of which takes milliseconds."""

_V1 = (
    """CREATE TABLE sessions (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        title TEXT NOT NULL,
        about TEXT NOT NULL,          -- JSON: agent, model, tools; see `types.About`
        created REAL NOT NULL,        -- Unix seconds, as all times here
        updated REAL NOT NULL,
        messages INTEGER NOT NULL,
        parent TEXT,
        parent_messages INTEGER,
        run_start INTEGER,            -- position of the request that is being worked on
        partial TEXT NOT NULL,        -- what had come of the answer to it
        stop TEXT,
        revision INTEGER NOT NULL     -- counts changes: who finds another than he left was not the only writer
    )""",
    "CREATE INDEX sessions_by_update ON sessions (updated)",
    """CREATE TABLE messages (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        session INTEGER NOT NULL REFERENCES sessions (key) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        created REAL NOT NULL,
        body TEXT NOT NULL,           -- JSON: the message as it goes over the wire
        usage TEXT                    -- JSON: what the turn cost, as the server said it
    )""",
    "CREATE UNIQUE INDEX messages_in_order ON messages (session, position)",
    "CREATE TABLE blobs (hash TEXT PRIMARY KEY, data BLOB NOT NULL)",
    """CREATE TABLE blob_uses (
        message INTEGER NOT NULL REFERENCES messages (key) ON DELETE CASCADE,
        hash TEXT NOT NULL REFERENCES blobs (hash),
        PRIMARY KEY (message, hash)
    ) WITHOUT ROWID""",
)
_V2 = (
    # Messages that were cut off or replaced are kept aside.
    "ALTER TABLE messages ADD COLUMN replaced REAL",
    "DROP INDEX messages_in_order",
    "CREATE UNIQUE INDEX messages_in_order ON messages (session, position) WHERE replaced IS NULL",
    "CREATE INDEX messages_kept_aside ON messages (session) WHERE replaced IS NOT NULL",
    "CREATE INDEX blob_uses_by_hash ON blob_uses (hash)",
)
_V3 = ("ALTER TABLE sessions ADD COLUMN context TEXT",)  # JSON: what the model is sent in place of older messages
MIGRATIONS: Sequence[Sequence[str]] = (_V1, _V2, _V3)
"""What leads from each version to the next; the first makes an empty file version 1. What was released stays as it is."""
VERSION = len(MIGRATIONS)

_FULL, _CORRUPT, _NOTADB, _READONLY, _CANTOPEN, _BUSY, _LOCKED, _IOERR, _PERM = 13, 11, 26, 8, 14, 5, 6, 10, 3
_DAMAGED = (
    "it is damaged, or no file of tiny-agents: move it away to start a new one, or put a copy of yours in its place"
)
_PROBLEMS = {
    _FULL: "no space is left on the disk: free some",
    _CORRUPT: _DAMAGED,
    _NOTADB: _DAMAGED,
    _READONLY: "it can't be written to: look at its permissions, and at those of its folder",
    _PERM: "it can't be written to: look at its permissions, and at those of its folder",
    _CANTOPEN: "it can't be opened: look at its permissions, and at those of its folder",
    _BUSY: f"another process has been writing to it for more than {BUSY_S:g} seconds",
    _LOCKED: f"another process has been writing to it for more than {BUSY_S:g} seconds",
    _IOERR: "it can't be read or written: the disk is full, or broken",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """What SQLite and the system say as `SessionStoreError`."""
    try:
        yield
    except sqlite3.ProgrammingError:
        raise  # a defect of ours
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        raise SessionStoreError(f"{path}: {_PROBLEMS.get(code, error)}", path=path) from error
    except OSError as error:
        raise SessionStoreError(f"{error.filename or path}: {error.strerror or error}", path=path) from error


def open_file(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made, or brought up to date, where needed. For one thread at a time.

    Raises:
        SessionStoreError: It can't be used. One that isn't ours, or is from a newer version, has not been touched.
    """
    with translated(path):
        _make_private(path)
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            version = _checked_version(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")  # where that can't be (a network drive), it stays as it is
            for setting in (
                "synchronous = FULL",
                "foreign_keys = ON",
                "secure_delete = ON",
                "journal_size_limit = 4194304",
            ):
                connection.execute(f"PRAGMA {setting}")
            if version < VERSION:
                _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing. Waits for its turn to write at the start, so that it never has to give up in between."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # some errors have rolled back already
            connection.execute("ROLLBACK")
        raise


def _make_private(path: Path) -> None:
    """The file and its folder are the user's alone; SQLite gives the files beside it the same permissions."""
    make_private(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    if sys.platform != "win32" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def _checked_version(connection: sqlite3.Connection, path: Path) -> int:
    connection.execute("BEGIN")  # one look: another process may be making the file just now
    version, owner, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_master")
    )
    connection.execute("COMMIT")
    if owner != APPLICATION_ID and (tables or owner or version):
        raise SessionStoreError(f"{path}: {_DAMAGED}", path=path)
    if version > VERSION:
        raise SessionStoreError(
            f"{path} was written by a newer tiny-agents: its format is version {version}, and this one knows up to "
            f"version {VERSION}. Update tiny-agents, or name another folder in TINY_AGENTS_DATA; nothing was changed",
            path=path,
        )
    return int(version)


def backup_path(path: Path, version: int) -> Path:
    """Where the file is kept as it was before it was brought up to date."""
    return path.with_name(f"{path.name}.version{version}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with transaction(connection):
        version = connection.execute("PRAGMA user_version").fetchone()[0]  # again: another process may have been faster
        if 0 < version < VERSION:
            _back_up(path, backup_path(path, version))
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {max(VERSION, version)}")


def _back_up(path: Path, backup: Path) -> None:
    """A whole copy, also of what is still in the log. Others may read meanwhile; nobody writes, for we hold the lock."""
    backup.unlink(missing_ok=True)
    _make_private(backup)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
        source.backup(target)
