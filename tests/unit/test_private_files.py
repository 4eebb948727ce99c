"""Whatever is kept for the user is for the user alone, however wide the umask or the file that was there."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from tiny_agents import CallRequest, KnownServers, RunLog, SessionDatabase, SessionInfo
from tiny_agents.agent.composition.media_files import MediaFiles
from tiny_agents.agent.definition.lock import AgentLock, write_lock
from tiny_agents.agent.definition.trust import Trusted, TrustStore
from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.cli.config import set_value
from tiny_agents.cli.prompt.line_editor import open_history
from tiny_agents.data_dir import make_private, write_private
from tiny_agents.inference.cache import locked
from tiny_agents.mcp_client.oauth.store import Login, Slot

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


@pytest.fixture(autouse=True)
def wide_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def _log_in(folder: Path) -> None:
    slot = Slot("https://h.example/mcp", folder=folder / "oauth")
    slot.write(Login("https://h.example/mcp", "https://i.example", "https://i.example/token"))


def _trust(folder: Path) -> None:
    TrustStore(folder / "trust.json").remember(
        Trusted(address="a", name="b", commit="c", content="d", consequences=(), files={})
    )


def _session(folder: Path) -> None:
    with SessionDatabase(folder / "sessions" / "sessions.db") as database:
        database.create(SessionInfo(id="a"))


def _locked(folder: Path) -> None:
    with locked(folder / "deep" / "lock"):
        pass


def _log(folder: Path) -> None:
    make_private(folder)
    RunLog(folder / "log").close()


def _know(folder: Path) -> None:
    KnownServers(folder / "known.json").change("a", lambda known: msgspec.structs.replace(known, seen=time.time()))


def _allow(folder: Path) -> None:
    PermissionAnswers(folder / "answers.json", "agent", "name").remember(CallRequest("s", "t", {}))


def _lock(folder: Path) -> None:
    write_lock(folder / "locks" / "a.lock", AgentLock(agent="a", files={}), private=True)


KEPT: dict[str, Callable[[Path], object]] = {
    "a login": _log_in,
    "who is trusted": _trust,
    "saved conversations": _session,
    "prompts": lambda folder: open_history(folder, "agent", "owner", print).append_string("x"),
    "a default": lambda folder: set_value("model", "m", {"XDG_CONFIG_HOME": str(folder)}),
    "what is known of servers": _know,
    "answers about tools": _allow,
    "what tasks made": lambda folder: MediaFiles(folder=folder / "outputs").keep("a", b"x", "image/png"),
    "a lock of a downloaded agent": _lock,
    "a lock file": _locked,
    "a log": _log,
}


@pytest.mark.parametrize("what", KEPT)
def test_what_is_kept_is_for_the_user_alone_under_any_umask(tmp_path: Path, what: str) -> None:
    base = tmp_path / "new" / "folder"
    KEPT[what](base)
    modes = {path.relative_to(tmp_path): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_file_that_others_could_read_is_not_after_it_was_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text("{}")
    path.chmod(0o666)
    write_private(path, b"{}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o775)
    make_private(shared / "a" / "b")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (shared, shared / "a", shared / "a" / "b")]
    assert modes == [0o775, 0o700, 0o700]
    make_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o775


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            make_private(place)
