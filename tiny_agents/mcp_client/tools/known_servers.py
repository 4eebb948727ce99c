"""`KnownServers`: what is remembered of servers, from one start to the next: how their tools looked, what they speak."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from tiny_agents.data_dir import data_dir
from tiny_agents.mcp_client.connection.servers import InProcessServer, Server, StdioServer, address
from tiny_agents.mcp_client.tools.pinning import Pin
from tiny_agents.mcp_client.tools.state_file import StateFile

FORGOTTEN_AFTER_S = 400 * 86_400.0
MAX_SERVERS = 1_000
SEEN_EVERY_S = 86_400.0
"""When a server was last seen is written down at most this often: a start that finds nothing new writes nothing."""


class Era(msgspec.Struct, frozen=True):
    """How a server wants to be spoken to, so that it needn't be asked.

    Attributes:
        protocol: "legacy" for the handshake of before 2026-07-28, or the version; "auto" where it has to be asked.
        until: When to ask again, in seconds since 1970.
        server: Its name and version.
        sse: Whether it is reached over HTTP+SSE, though the user said http.
        discovered: What a server of the newer protocol said of itself, for as long as it allows to keep that.
    """

    protocol: str
    until: float
    server: str = ""
    sse: bool = False
    discovered: dict[str, Any] | None = None


class KnownServer(msgspec.Struct, frozen=True):
    """What is remembered of a server.

    Attributes:
        name: What it was called when it was last seen.
        address: Its command, or its URL without credentials.
        seen: When, in seconds since 1970.
        pins: What is known of its tools, by name.
        era: How it wants to be spoken to; None where that isn't known.
    """

    name: str = ""
    address: str = ""
    seen: float = 0.0
    pins: dict[str, Pin] = {}
    era: Era | None = None


class _File(msgspec.Struct, frozen=True):
    version: int = 1
    servers: dict[str, KnownServer] = {}


class _Memory(msgspec.Struct):
    """In place of a file, where nothing is to be kept."""

    value: _File
    problem: None = None

    def change(self, change: Callable[[_File], _File]) -> _File:
        self.value = change(self.value)
        return self.value


class KnownServers:
    """What is remembered of servers, by what they are (`identity`), not by what they are called.

    Args:
        path: The file where it is kept, for the user alone; several processes may use it. None keeps it in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._kept: StateFile[_File] | _Memory = (
            _Memory(_File()) if path is None else StateFile(path, _File(), what="servers and their tools")
        )

    def get(self, identity: str) -> KnownServer:
        """What is known; an empty record where nothing is."""
        return self._kept.value.servers.get(identity) or KnownServer()

    @property
    def problem(self) -> str | None:
        """Why the file can't be used, so that this is forgotten at the end of the process; None where it can."""
        _ = self._kept.value  # which reads it
        return self._kept.problem

    def all(self) -> Mapping[str, KnownServer]:
        return self._kept.value.servers

    def change(self, identity: str, change: Callable[[KnownServer], KnownServer]) -> None:
        """Replace what is known of a server; `change` may be called with what another process has written meanwhile."""

        def changed(file: _File) -> _File:
            before = file.servers.get(identity) or KnownServer()
            after = change(before)
            now = time.time()
            if after == before and now - before.seen < SEEN_EVERY_S:
                return file
            after = msgspec.structs.replace(after, seen=now)
            return msgspec.structs.replace(file, servers=_recent({**file.servers, identity: after}, now))

        if changed(self._kept.value) is not self._kept.value:
            self._kept.change(changed)

    def forget(self, identities: set[str]) -> None:
        self._kept.change(
            lambda file: msgspec.structs.replace(
                file, servers={key: known for key, known in file.servers.items() if key not in identities}
            )
        )


def file_of(env: Mapping[str, str]) -> Path | None:
    """Where the command line keeps it: `TINY_AGENTS_KNOWN_SERVERS` ("off": nowhere), else among the user's data."""
    named = env.get("TINY_AGENTS_KNOWN_SERVERS", "")
    if named == "off":
        return None
    return Path(named).expanduser() if named else data_dir(env) / "known_servers.json"


def _recent(servers: dict[str, KnownServer], now: float) -> dict[str, KnownServer]:
    fresh = {key: known for key, known in servers.items() if now - known.seen < FORGOTTEN_AFTER_S}
    if len(fresh) <= MAX_SERVERS:
        return fresh
    return dict(sorted(fresh.items(), key=lambda entry: entry[1].seen)[-MAX_SERVERS:])


def identity_of(server: Server) -> str:
    """What tells servers apart: what is started and where, or the address. Nothing secret can be read from it.

    Of an environment, and of an address's query, only the names count: a new key makes no other server of it. A word of
    the command line that names a file here means that file.
    """
    what: list[Any]
    if isinstance(server, InProcessServer):
        what = ["inprocess", server.name]
    elif isinstance(server, StdioServer):
        words = [_whole(word, server.cwd) for word in (server.command, *server.args)]
        what = ["stdio", words, server.cwd, sorted(server.env)]
    else:
        query = sorted({name for name, _ in parse_qsl(urlsplit(server.url).query, keep_blank_values=True)})
        what = ["remote", address(server), query]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:40]


def _whole(word: str, cwd: str | None) -> str:
    try:
        path = Path(cwd or ".", word).absolute()
        return str(path) if word and path.is_file() else word
    except (OSError, ValueError):  # too long, or no path at all
        return word
