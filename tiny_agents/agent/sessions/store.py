"""Where conversations are saved: the protocol, and the store that lasts as long as the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec.structs import replace

from tiny_agents.agent.sessions.types import Change, SavedMessage, SessionInfo, StoredSession
from tiny_agents.errors import SessionInUseError, SessionNotFoundError


class SessionStore(Protocol):
    """What saves conversations. Write your own to keep them in a database of yours.

    A store is used from one event loop, and awaited while a model answers: work that blocks belongs on a thread. It
    raises `SessionStoreError` for what it can't do now; then the conversation goes on unsaved, and with the next
    request everything missing is given to it again. Other exceptions are defects and reach the caller of `Agent.run`.
    """

    async def create(self, info: SessionInfo) -> None:
        """Start an empty session, open for us."""

    async def open(self, session_id: str) -> StoredSession:
        """Everything saved, and from now on the session is open for us and nobody else.

        Raises:
            SessionNotFoundError: There is no such session.
            SessionInUseError: Somebody has it open.
        """

    async def write(self, session_id: str, change: Change) -> None:
        """Save a change to a session that is open for us: all of it, or nothing.

        Raises:
            SessionInUseError: Somebody else changed or deleted it.
            SessionStoreError: It can't be saved now.
        """

    async def release(self, session_id: str) -> None:
        """The session is no longer open for us. One that was never open is no error."""

    async def list(self) -> Sequence[SessionInfo]:
        """All sessions, the last changed first."""


class MemorySessionStore:
    """Keeps conversations as long as the program runs: for tests, and for servers that need no more."""

    def __init__(self) -> None:
        self._sessions: dict[str, StoredSession] = {}
        self._open: set[str] = set()

    async def create(self, info: SessionInfo) -> None:
        self._sessions[info.id] = StoredSession(info)
        self._open.add(info.id)

    async def open(self, session_id: str) -> StoredSession:
        if session_id not in self._sessions:
            raise SessionNotFoundError(f"there is no session {session_id!r}", session=session_id)
        if session_id in self._open:
            raise SessionInUseError(f"session {session_id} is open already: close it there first", session=session_id)
        self._open.add(session_id)
        return self._sessions[session_id]

    async def write(self, session_id: str, change: Change) -> None:
        if session_id not in self._sessions:
            raise SessionInUseError(f"session {session_id} was deleted while it was open", session=session_id)
        self._sessions[session_id] = applied(self._sessions[session_id], change)

    async def release(self, session_id: str) -> None:
        self._open.discard(session_id)

    async def list(self) -> Sequence[SessionInfo]:
        return sorted((stored.info for stored in self._sessions.values()), key=lambda info: info.updated, reverse=True)


def applied(stored: StoredSession, change: Change) -> StoredSession:
    """The session after a change: what `write` means, without what it keeps aside."""
    messages: list[SavedMessage] = [*stored.messages[: change.length]]
    for index, saved in sorted(change.puts.items()):
        messages[index : index + 1] = [saved]
    info = replace(
        stored.info,
        title=change.title,
        about=change.about,
        updated=change.at,
        messages=len(messages),
        stop=change.stop,
    )
    return StoredSession(info, tuple(messages), change.run_start, change.partial, change.context)
