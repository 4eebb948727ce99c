"""Logins, kept from one run to the next: a file per server and client, for the user alone.

What can't be read counts as logged out; the reason is said. Files are replaced whole, so another process sees the old login
or the new one; a lock beside them makes sure that only one renews it, since a refresh token often works only once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from tiny_agents.data_dir import data_dir, make_private, write_private
from tiny_agents.inference.cache import locked

logger = logging.getLogger("tiny_agents.mcp_client")

FOLDER_VARIABLE = "TINY_AGENTS_OAUTH_DIR"
FORMAT = 1
LOCK_S = 60.0
"""How long another process may take to renew a login: far more than it needs, but it may have been stopped."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who we are to an authorization server.

    Attributes:
        registered: It was registered by us, for `redirect_uri`; False for one that the user brought.
        secret_expires_at: Seconds since 1970; None never.
        auth_method: How it proves who it is at the token endpoint; None where the server didn't say.
    """

    id: str
    secret: str | None = field(default=None, repr=False)
    auth_method: str | None = None
    redirect_uri: str | None = None
    registered: bool = False
    secret_expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opens the server, and until when (seconds since 1970; None: unknown)."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    expires_at: float | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Login:
    """All that is kept of one server.

    Attributes:
        address: The server's URL, without its query.
        issuer: The authorization server that these tokens and this client belong to; never used with another.
        account: Which of several logins at this server it is, as the user calls it.
        resource: What the tokens are for, as the authorization server was told; None where it wasn't.
    """

    address: str
    issuer: str
    token_endpoint: str
    resource: str | None = None
    client: Client | None = None
    tokens: Tokens | None = None
    revocation_endpoint: str | None = None
    token_auth_methods: tuple[str, ...] = ()
    account: str | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    key: str
    login: Login


class Unreadable(Exception):
    """What is kept of a login can't be used, and why."""


def store_folder(env: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where logins are kept: `TINY_AGENTS_OAUTH_DIR` where set, else among the user's own data."""
    if named := env.get(FOLDER_VARIABLE):
        return Path(named).expanduser().absolute()
    return data_dir(env, platform) / "oauth"


def canonical(url: str) -> str:
    """`url` as all its spellings that mean the same: scheme and host in small letters, no standard port, no fragment."""
    split = urlsplit(url.strip())
    host = (split.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    if split.port is not None and split.port != {"http": 80, "https": 443}.get(split.scheme.lower()):
        host = f"{host}:{split.port}"
    return urlunsplit((split.scheme.lower(), host, split.path.rstrip("/") or "/", split.query, ""))


def without_query(url: str) -> str:
    """`url` as it may be shown and kept: queries hold keys."""
    split = urlsplit(canonical(url))
    return urlunsplit((split.scheme, split.netloc, split.path, "", ""))


def key_of(url: str, client_id: str | None, account: str | None) -> str:
    """What the login at `url` as the client `client_id` (None: one that we register) is kept under."""
    return hashlib.sha256("\n".join((canonical(url), client_id or "", account or "")).encode()).hexdigest()


class Slot:
    """The place of one login.

    Args:
        url: The server's.
        client_id: What the user gave as such; None for clients that we register.
        account: Tells several logins at one server apart.
    """

    def __init__(
        self, url: str, client_id: str | None = None, account: str | None = None, *, folder: Path | None = None
    ) -> None:
        self._key = key_of(url, client_id, account)
        host = re.sub(r"[^a-z0-9.-]", "_", (urlsplit(url).hostname or "").lower())[:80]
        self.path = (folder or store_folder()) / f"{host}-{self._key[:16]}.json"

    def read(self) -> Login | None:
        """What is kept, if anything.

        Raises:
            Unreadable: There is something, but no login of this server.
        """
        return _read(self.path, self._key)

    def write(self, login: Login) -> None:
        """Raises OSError where it can't be kept."""
        make_private(self.path.parent)
        if sys.platform != "win32":
            self.path.parent.chmod(0o700)
        write_private(self.path, msgspec.json.format(msgspec.json.encode(_File(FORMAT, self._key, login))))

    def clear(self) -> bool:
        """Forget the login; says whether there was one."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """While the block runs, no other process (or task) is in one for the same login, unless it takes very long."""
        given_up = threading.Event()
        hold = contextlib.ExitStack()
        lock = self.path.with_suffix(".lock")
        entering = asyncio.ensure_future(asyncio.to_thread(_enter, hold, lock, given_up))
        try:
            await asyncio.wait({entering}, timeout=LOCK_S)
            if entering.done() and (error := entering.exception()) is not None:
                if not isinstance(error, OSError):
                    raise error
                logger.debug("no lock at %s: %s", lock, error)  # nobody else keeps logins in such a folder either
            yield
        finally:
            given_up.set()
            await asyncio.wait({entering})
            if not entering.cancelled():
                entering.exception()  # it has been seen
            hold.close()


def _enter(hold: contextlib.ExitStack, lock: Path, given_up: threading.Event) -> None:
    make_private(lock.parent)
    hold.enter_context(locked(lock, given_up))


def _read(path: Path, key: str | None) -> Login | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from error
    try:
        file = msgspec.json.decode(data, type=_File)
    except (msgspec.DecodeError, RecursionError):
        # The file's content may be a secret: neither it nor the decoder's words about it are repeated.
        raise Unreadable(f"{path} is damaged, or was written by another version") from None
    if file.format != FORMAT:
        raise Unreadable(f"{path} was written by another version")
    if (key is not None and file.key != key) or not path.stem.endswith(file.key[:16]):
        raise Unreadable(f"{path} belongs to another server")
    return file.login


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of the folder: its login, or None and why there is none."""

    path: Path
    login: Login | None
    problem: str = ""


def kept_logins(folder: Path | None = None) -> list[Kept]:
    """All that is kept, by name."""
    found: list[Kept] = []
    for path in sorted((folder or store_folder()).glob("*.json")):
        try:
            login = _read(path, None)
        except Unreadable as problem:
            found.append(Kept(path, None, str(problem)))
            continue
        if login is not None:
            found.append(Kept(path, login))
    return found
