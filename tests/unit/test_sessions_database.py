"""Conversations in a file: what is in it comes back, others keep out, what is deleted is gone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.sessions import schema
from tiny_agents.agent.sessions.database import SessionDatabase, default_path
from tiny_agents.agent.sessions.types import About, Change, SavedMessage, SessionInfo, StoredSession
from tiny_agents.errors import SessionInUseError, SessionNotFoundError, SessionStoreError, UsageError

IMAGE = base64.b64encode(bytes(range(256)) * 40).decode()
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Erste Frage: größer \ud800?"},
    {
        "role": "assistant",
        "content": None,
        "reasoning": "thinking",
        "tool_calls": [CALL],
        "vendor_field": {"kept": True},
    },
    {"role": "tool", "tool_call_id": "c1", "name": "add", "content": "2"},
    {"role": "assistant", "content": "It is two. 東京都 is far."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "And this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
            {"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}},
            {"type": "text", "text": "tiny-agents-blob:" + "0" * 64 + ":"},
        ],
    },
    {"role": "assistant", "content": "A picture."},
]


def saved(messages: list[dict[str, Any]], *, title: str = "Erste Frage", **info: Any) -> StoredSession:
    lines = [SavedMessage(message, 1000.0 + index, None) for index, message in enumerate(messages)]
    return StoredSession(SessionInfo(id="", title=title, **info), tuple(lines))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "sessions.db"


@pytest.fixture
def sessions(path: Path) -> Iterator[SessionDatabase]:
    with SessionDatabase(path) as database:
        yield database


def plain(database: SessionDatabase, session_id: str) -> list[dict[str, Any]]:
    return [each.message for each in database.read(session_id).messages]


def test_messages_come_back_to_the_letter_and_media_are_kept_once(sessions: SessionDatabase, path: Path) -> None:
    about = About(agent="/x/agent.yaml", agent_name="x", model="m", tools=("add", "b"))
    info = sessions.add(saved(MESSAGES, about=about))
    again = sessions.add(saved(MESSAGES))
    sessions.close()
    stored = sessions.read(info.id)
    assert [each.message for each in stored.messages] == MESSAGES
    assert [each.created for each in stored.messages] == [1000.0 + index for index in range(7)]
    assert (stored.info.about, stored.info.title, stored.info.messages) == (about, "Erste Frage", 7)
    assert plain(sessions, again.id) == MESSAGES
    with sqlite3.connect(path) as raw:
        assert raw.execute("SELECT count(*), max(length(data)) FROM blobs").fetchone() == (1, 256 * 40)
        assert raw.execute("SELECT max(length(body)) FROM messages").fetchone()[0] < 1000


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_file_and_folder_are_the_users_alone(sessions: SessionDatabase, path: Path) -> None:
    os.umask(os.umask(0o022))
    info = sessions.add(saved(MESSAGES))
    sessions.open(info.id)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    files = [each for each in path.parent.rglob("*") if each.is_file()]
    assert {"sessions.db", "sessions.db-wal", f"{info.id}.lock"} <= {file.name for file in files}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_folder_can_be_named() -> None:
    assert default_path({"TINY_AGENTS_DATA": "/somewhere"}) == Path("/somewhere/sessions/sessions.db")
    assert default_path({"XDG_DATA_HOME": "/x"}).as_posix().endswith("/sessions/sessions.db")


# ---------------------------------------------------------------- one writer


def test_a_session_has_one_writer_at_a_time_and_any_number_of_readers(sessions: SessionDatabase, path: Path) -> None:
    info = sessions.add(saved(MESSAGES))
    sessions.open(info.id)
    with SessionDatabase(path) as other:
        for take in (other.open, other.rewind, lambda session_id: other.delete([session_id])):
            with pytest.raises(SessionInUseError, match=f"session {info.id} is open already in this process"):
                take(info.id)
        assert plain(other, info.id) == MESSAGES
        fork = other.fork(info.id)
        assert plain(other, fork.id) == MESSAGES
        sessions.release(info.id)
        assert other.open(info.id).info.id == info.id


def test_another_process_that_has_it_is_named_and_its_death_frees_the_session(
    sessions: SessionDatabase, path: Path
) -> None:
    info = sessions.add(saved(MESSAGES))
    code = (
        "import sys; from tiny_agents.agent.sessions.database import SessionDatabase\n"
        "database = SessionDatabase(sys.argv[1]); database.open(sys.argv[2]); print('open', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(path), info.id], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(SessionInUseError, match=rf"in another process \(number {holder.pid}\).*fork"):
            sessions.open(info.id)
        holder.kill()
        holder.wait(30)
        assert sessions.open(info.id).info.id == info.id


def test_a_writer_that_was_overtaken_in_spite_of_the_lock_is_told(sessions: SessionDatabase, path: Path) -> None:
    info = sessions.add(saved(MESSAGES))
    sessions.open(info.id)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE sessions SET revision = 99")
    with pytest.raises(SessionInUseError, match="was changed by another process"):
        sessions.write(info.id, Change(length=1, at=0))
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM sessions")
    with pytest.raises(SessionInUseError, match="was deleted by another process"):
        sessions.write(info.id, Change(length=1, at=0))


# ---------------------------------------------------------------- forks, rewinding, deleting


@pytest.mark.parametrize(("asked", "taken", "unfinished"), [(2, 2, 1), (3, 4, 1), (4, 4, 1), (5, 5, None), (6, 6, 5)])
def test_a_fork_takes_whole_tool_calls(
    sessions: SessionDatabase, asked: int, taken: int, unfinished: int | None
) -> None:
    info = sessions.add(saved(MESSAGES))
    fork = sessions.fork(info.id, asked)
    stored = sessions.read(fork.id)
    assert ([each.message for each in stored.messages], stored.run_start) == (MESSAGES[:taken], unfinished)
    assert (fork.parent, fork.parent_messages) == (info.id, taken)
    assert plain(sessions, info.id) == MESSAGES


@pytest.mark.parametrize("asked", [0, 8, -1])
def test_a_fork_at_no_message_is_refused(sessions: SessionDatabase, asked: int) -> None:
    info = sessions.add(saved(MESSAGES))
    with pytest.raises(UsageError, match=f"there is no message {asked}: the conversation has 7"):
        sessions.fork(info.id, asked)
    assert len(sessions.list()) == 1


def test_rewinding_drops_whole_requests_and_keeps_them_aside(sessions: SessionDatabase) -> None:
    info = sessions.add(saved(MESSAGES))
    assert sessions.rewind(info.id) == 2
    assert plain(sessions, info.id) == MESSAGES[:5]
    assert sessions.rewind(info.id) == 4
    assert plain(sessions, info.id) == MESSAGES[:1]
    assert [each.message for each in sessions.kept_aside(info.id)] == MESSAGES[1:]
    with pytest.raises(UsageError, match="can't drop the last 1: the conversation has 0 requests"):
        sessions.rewind(info.id)


def test_deleting_leaves_no_trace_in_the_files(sessions: SessionDatabase, path: Path) -> None:
    secret = {"role": "user", "content": "The codeword is Xylophone-4711, " + "Xylophone-4711 " * 5000}
    info = sessions.add(saved([MESSAGES[0], secret, *MESSAGES[2:]], title="The codeword is Xylophone-4711"))
    other = sessions.add(saved(MESSAGES))
    assert [found.info.id for found in sessions.search("xylophone")] == [info.id]
    assert b"Xylophone" in path.read_bytes() + path.with_name("sessions.db-wal").read_bytes()
    path.with_name("sessions.db.version1").write_bytes(b"Xylophone, too")
    sessions.delete([info.id])
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    for file in files:
        content = file.read_bytes().lower()
        assert b"xylophone" not in content, file
        assert b"ylop" not in content, file
    assert plain(sessions, other.id) == MESSAGES
    sessions.delete([other.id])
    with sqlite3.connect(path) as raw:
        for table in ("sessions", "messages", "blobs", "blob_uses", "message_index"):
            assert raw.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_a_session_without_a_request_is_not_listed_and_not_kept(sessions: SessionDatabase) -> None:
    sessions.create(SessionInfo(id="aaaa"))
    assert sessions.list() == []
    sessions.release("aaaa")
    with pytest.raises(SessionNotFoundError):
        sessions.read("aaaa")


# ---------------------------------------------------------------- search


@pytest.mark.parametrize("with_index", [True, False])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("GRÖSSER", 2),
        ("two far", 5),
        ("far two.", 5),
        ("京都", 5),
        ("東京都", 5),
        ('"a": 1', 3),
        ("thinking", 3),
        ("2", 4),
        ("add arguments", None),
        ("brief", None),
        ("", None),
        ('"', 3),
        ("NEAR(two", None),
    ],
)
def test_words_are_found_wherever_they_were_said_with_and_without_an_index(
    sessions: SessionDatabase, monkeypatch: pytest.MonkeyPatch, with_index: bool, words: str, message: int | None
) -> None:
    if not with_index:
        monkeypatch.setattr("tiny_agents.agent.sessions.search._index", lambda connection: False)
    info = sessions.add(saved(MESSAGES))
    found = sessions.search(words)
    assert [(each.info.id, each.message) for each in found] == ([] if message is None else [(info.id, message)])
    if found:
        assert words.split()[0].casefold() in found[0].excerpt.casefold()


def test_what_was_said_after_the_last_search_is_found_and_what_was_rewound_is_not(sessions: SessionDatabase) -> None:
    info = sessions.add(saved(MESSAGES))
    assert [each.info.id for each in sessions.search("picture")] == [info.id]
    sessions.rewind(info.id)
    assert sessions.search("picture") == []
    later = sessions.add(saved([MESSAGES[0], {"role": "user", "content": "Paint a picture"}]))
    assert [each.info.id for each in sessions.search("picture")] == [later.id]


# ---------------------------------------------------------------- files of other versions, and broken ones

OLD = Path(__file__).parents[1] / "data" / "sessions-version1.db"


def test_a_file_of_version_1_is_brought_up_to_date_and_kept_as_it_was(path: Path) -> None:
    path.parent.mkdir()
    shutil.copy(OLD, path)
    before = path.read_bytes()
    with SessionDatabase(path) as sessions:
        (info,) = sessions.list()
        assert info.title == "What is 1 + 1?"
        assert [each.message["role"] for each in sessions.read(info.id).messages] == [
            "system",
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert sessions.rewind(info.id) == 4, "what is new works on it"
    backup = schema.backup_path(path, 1)
    with sqlite3.connect(backup) as raw, sqlite3.connect(path) as new:
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
        assert new.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert raw.execute("SELECT count(*) FROM messages").fetchone() == (5,)
        kinds = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'message_index%' ORDER BY name"
        migrated = new.execute(kinds).fetchall()
    assert sqlite3.connect(OLD).execute("SELECT count(*) FROM messages").fetchone() == (5,)
    assert OLD.read_bytes() == before
    fresh = path.with_name("fresh.db")
    with SessionDatabase(fresh) as sessions:
        assert sessions.list() == []
    with sqlite3.connect(fresh) as raw:
        assert raw.execute(kinds).fetchall() == migrated


def test_an_update_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.parent.mkdir()
    shutil.copy(OLD, path)
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0], (*schema.MIGRATIONS[1], "SELECT no_such_thing")))
    with SessionDatabase(path) as sessions, pytest.raises(SessionStoreError, match="no_such_thing"):
        sessions.list()
    monkeypatch.undo()
    with SessionDatabase(path) as sessions:
        assert len(sessions.list()) == 1


def test_a_file_from_a_newer_version_is_named_and_not_touched(path: Path) -> None:
    with SessionDatabase(path) as sessions:
        sessions.add(saved(MESSAGES))
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version = 7")
    before = path.read_bytes()
    with SessionDatabase(path) as sessions:
        problem = f"its format is version 7, and this one knows up to version {schema.VERSION}.*nothing was changed"
        with pytest.raises(SessionStoreError, match=problem) as caught:
            sessions.create(SessionInfo(id="a"))
        assert caught.value.path == str(path)
    assert path.read_bytes() == before


def damage_header(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def damage_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def make_foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TABLE notes (text)")


@pytest.mark.parametrize("damage", [damage_header, damage_middle, make_foreign])
def test_a_damaged_or_foreign_file_is_said_and_left_alone(path: Path, damage: Any) -> None:
    with SessionDatabase(path) as sessions:
        sessions.add(saved(MESSAGES))
    damage(path)
    before = path.read_bytes()
    with (
        SessionDatabase(path) as sessions,
        pytest.raises(SessionStoreError, match="damaged, or no file of tiny-agents"),
    ):
        sessions.create(SessionInfo(id="a"))
    assert path.read_bytes() == before


def test_a_full_disk_is_said_and_what_was_saved_stays(sessions: SessionDatabase) -> None:
    info = sessions.add(saved(MESSAGES))
    sessions.open(info.id)
    with sessions._open() as connection:
        connection.execute("PRAGMA max_page_count = 20")
    big = SavedMessage({"role": "user", "content": "x" * 200_000}, 0.0)
    with pytest.raises(SessionStoreError, match="no space is left on the disk"):
        sessions.write(info.id, Change(puts={7: big}, length=8, at=0))
    assert plain(sessions, info.id) == MESSAGES
    with sessions._open() as connection:
        connection.execute("PRAGMA max_page_count = 2000")
    sessions.write(info.id, Change(puts={7: big}, length=8, at=0))
    assert len(plain(sessions, info.id)) == 8


def test_a_place_that_can_not_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with SessionDatabase(tmp_path / "file" / "sessions.db") as sessions, pytest.raises(SessionStoreError, match="file"):
        sessions.list()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_a_folder_that_is_read_only_is_said(sessions: SessionDatabase, path: Path) -> None:
    sessions.add(saved(MESSAGES))
    sessions.close()
    path.chmod(0o400)
    path.parent.chmod(0o500)
    if os.access(path, os.W_OK):
        pytest.skip("permissions don't stop this user")
    try:
        with pytest.raises(SessionStoreError, match="[Pp]ermission"):
            sessions.create(SessionInfo(id="a"))
    finally:
        path.parent.chmod(0o700)


# ---------------------------------------------------------------- many at once

WRITER = """
import sys
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.types import Change, SavedMessage, SessionInfo
database = SessionDatabase(sys.argv[1])
name = sys.argv[2]
database.create(SessionInfo(id=name))
for index in range(25):
    message = SavedMessage({"role": "user", "content": f"{name} says {index}"}, 0.0)
    database.write(name, Change(puts={index: message}, length=index + 1, title=name, at=float(index)))
    if index % 10 == 0:
        database.search(f"says {index}")
database.release(name)
database.close()
"""


def test_many_processes_write_at_once_to_a_file_that_was_not_there(path: Path) -> None:
    names = [f"writer{number}" for number in range(4)]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stderr=subprocess.PIPE) for name in names
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert (writer.returncode, errors) == (0, b"")
    with SessionDatabase(path) as sessions:
        assert {info.id for info in sessions.list()} == set(names)
        for name in names:
            assert [m["content"] for m in plain(sessions, name)] == [f"{name} says {index}" for index in range(25)]
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert json.loads(raw.execute("SELECT body FROM messages").fetchone()[0])["role"] == "user"
