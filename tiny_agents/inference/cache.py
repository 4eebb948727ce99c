"""Where downloads are kept, and how a file gets there whole: locked, checked, then moved into place."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from tiny_agents.data_dir import make_private
from tiny_agents.errors import InferenceError

CHUNK = 1 << 20
LOCK_POLL_S = 0.1


def cache_root(env: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The folder of everything tiny-agents downloads: `XDG_CACHE_HOME` where set, else the system's place for caches."""
    if xdg := env.get("XDG_CACHE_HOME"):
        return Path(xdg).expanduser() / "tiny-agents"
    if platform == "win32":
        local = env.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "tiny-agents" / "Cache"
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / ("Library/Caches" if platform == "darwin" else ".cache") / "tiny-agents"


def check_stopped(cancelled: threading.Event | None) -> None:
    """Raise InferenceError if the caller has given up."""
    if cancelled is not None and cancelled.is_set():
        raise InferenceError("Stopped before the download was complete; what is there is kept for the next time.")


def sha256_of(path: Path, cancelled: threading.Event | None = None) -> str:
    """The checksum of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            check_stopped(cancelled)
            digest.update(data)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(path: Path, cancelled: threading.Event | None = None, *, limit_s: float | None = None) -> Iterator[None]:
    """Hold the lock file `path`: one process (and one thread) at a time. The operating system frees it if we die.

    Raises:
        TimeoutError: Somebody else has held it for `limit_s` seconds.
    """
    make_private(path.parent)
    poll_s = LOCK_POLL_S if limit_s is None else min(LOCK_POLL_S, limit_s / 100)
    end = None if limit_s is None else time.monotonic() + limit_s
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
        while not try_lock(file):
            check_stopped(cancelled)
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"another process has been using it for {limit_s:g} s")
            time.sleep(poll_s)
        try:
            yield
        finally:
            unlock(file)


if sys.platform == "win32":
    import msvcrt

    def try_lock(file: IO[bytes]) -> bool:
        """Take the lock on an open file; False if somebody else has it."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(file: IO[bytes]) -> None:
        """Give the lock back."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(file: IO[bytes]) -> bool:
        """Take the lock on an open file; False if somebody else has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(file: IO[bytes]) -> None:
        """Give the lock back."""
        fcntl.flock(file, fcntl.LOCK_UN)
