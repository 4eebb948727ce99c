"""`SqliteSessionStore`: the store that lasts. All its work is done on a thread of its own, so that answers flow on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.types import Change, SessionInfo, StoredSession

P = ParamSpec("P")
T = TypeVar("T")


class SqliteSessionStore:
    """Saves conversations in a SQLite file; a `SessionStore`.

    Any number of agents may share one, and any number of processes the file.

    Args:
        path: The file; by default the one of the command line, so that its commands find what is saved here.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.database = SessionDatabase(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sessions")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the file. What is still being written is written first."""
        await self.call(self.database.close)

    async def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a method of `database` on the store's thread: `await store.call(store.database.search, "trains")`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(method, *args, **kwargs))

    async def create(self, info: SessionInfo) -> None:
        await self.call(self.database.create, info)

    async def open(self, session_id: str) -> StoredSession:
        return await self.call(self.database.open, session_id)

    async def write(self, session_id: str, change: Change) -> None:
        await self.call(self.database.write, session_id, change)

    async def release(self, session_id: str) -> None:
        await self.call(self.database.release, session_id)

    async def list(self) -> Sequence[SessionInfo]:
        return await self.call(self.database.list)
