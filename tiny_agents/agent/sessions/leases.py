"""One writer per session: a lock that the operating system takes back when its holder dies, however it dies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from tiny_agents.data_dir import make_private
from tiny_agents.errors import SessionInUseError
from tiny_agents.inference.cache import try_lock, unlock


class Leases:
    """The sessions that are open for us. A lease is the lock on a file of its own in `folder`; in it stands who has it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, IO[bytes]] = {}

    def take(self, session_id: str) -> None:
        """Open a session for us.

        Raises:
            SessionInUseError: It is open already, here or in another process.
            OSError: The lock's file can't be made.
        """
        make_private(self._folder)
        path = self._folder / f"{session_id}.lock"
        while True:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
            if not try_lock(file):
                holder = _holder(file)
                file.close()
                raise SessionInUseError(
                    f"session {session_id} is open{holder}: leave it there first, or fork it "
                    f"('tiny-agents sessions fork {session_id}') to go on beside it",
                    session=session_id,
                )
            if _is_at(file, path):
                break
            file.close()  # its last holder removed the file while we waited for it: ours would lock nobody out
        file.truncate()
        file.write(str(os.getpid()).encode())
        file.flush()
        self._held[session_id] = file

    def give_back(self, session_id: str) -> None:
        """Let others open it. One that isn't ours is no error."""
        file = self._held.pop(session_id, None)
        if file is None:
            return
        if os.name == "posix":  # elsewhere a file that is open can't be removed; it is used again
            (self._folder / f"{session_id}.lock").unlink(missing_ok=True)
        unlock(file)
        file.close()

    def give_all_back(self) -> None:
        for session_id in list(self._held):
            self.give_back(session_id)


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _holder(file: IO[bytes]) -> str:
    """Who has the lock, in words; nothing where that can't be read (Windows)."""
    try:
        pid = file.read(20).decode("ascii", "replace")
    except OSError:
        return " already"
    if pid == str(os.getpid()):
        return " already in this process"
    return f" in another process (number {pid})" if pid.isdigit() else " in another process"
