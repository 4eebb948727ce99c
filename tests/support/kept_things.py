"""Everything that is kept for the user: how each thing gets into a folder, told `text`, which can be long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from tiny_agents import CallRequest, KnownServers, RunLog, SessionDatabase, SessionInfo
from tiny_agents.agent.composition.media_files import MediaFiles
from tiny_agents.agent.definition.lock import AgentLock, write_lock
from tiny_agents.agent.definition.trust import Trusted, TrustStore
from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.cli.config import set_value
from tiny_agents.cli.prompt.line_editor import open_history
from tiny_agents.data_dir import make_private
from tiny_agents.inference.cache import locked
from tiny_agents.mcp_client.oauth.store import Login, Slot
from tiny_agents.mcp_client.tools.known_servers import KnownServer


def _log_in(folder: Path, text: str) -> None:
    slot = Slot("https://h.example/mcp", folder=folder / "oauth")
    slot.write(Login("https://h.example/mcp", "https://i.example", "https://i.example/token", account=text))


def _trust(folder: Path, text: str) -> None:
    answer = Trusted(address="a", name=text, commit="c", content="d", consequences=(), files={})
    TrustStore(folder / "trust.json").remember(answer)


def _session(folder: Path, text: str) -> None:
    with SessionDatabase(folder / "sessions" / "sessions.db") as database:
        database.create(SessionInfo(id=text[:8], title=text))


def _locked(folder: Path, text: str) -> None:
    with locked(folder / "deep" / "lock"):
        pass


def _log(folder: Path, text: str) -> None:
    make_private(folder)
    RunLog(folder / "log").close()


def _know(folder: Path, text: str) -> None:
    def seen(known: KnownServer) -> KnownServer:
        return msgspec.structs.replace(known, name=text, seen=time.time())

    KnownServers(folder / "known.json").change("a", seen)


def _allow(folder: Path, text: str) -> None:
    PermissionAnswers(folder / "answers.json", "agent", text).remember(CallRequest("s", text, {}))


def _lock(folder: Path, text: str) -> None:
    write_lock(folder / "locks" / "a.lock", AgentLock(agent=text, files={}), private=True)


def _set(folder: Path, text: str) -> None:
    set_value("model", text, {"XDG_CONFIG_HOME": str(folder)})


def _make(folder: Path, text: str) -> None:
    MediaFiles(folder=folder / "outputs").keep("a", text.encode(), "image/png")


def _prompt(folder: Path, text: str) -> None:
    open_history(folder, "agent", "owner", print).append_string(text)


KEPT: dict[str, Callable[[Path, str], None]] = {
    "a login": _log_in,
    "who is trusted": _trust,
    "saved conversations": _session,
    "prompts": _prompt,
    "a default": _set,
    "what is known of servers": _know,
    "answers about tools": _allow,
    "what tasks made": _make,
    "a lock of a downloaded agent": _lock,
    "a lock file": _locked,
    "a log": _log,
}
