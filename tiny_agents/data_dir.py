"""Where what belongs to the user is kept: answers, histories, locks. And how a file gets there whole, for the user alone."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path


def data_dir(env: Mapping[str, str], platform: str = sys.platform, home: Path | None = None) -> Path:
    """Where this platform keeps a program's data for the user; `TINY_AGENTS_DATA` names another folder."""
    home = home or Path.home()
    if own := env.get("TINY_AGENTS_DATA"):
        return Path(own).expanduser().absolute()
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local") / "tiny-agents"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "tiny-agents"
    # The specification of these directories says that relative paths are to be ignored.
    named = Path(env.get("XDG_DATA_HOME") or "")
    return (named if named.is_absolute() else home / ".local" / "share") / "tiny-agents"


def make_private(folder: Path) -> None:
    """See to it that there is a `folder`; it and its parents, as far as they are made here, are for the user alone.

    `Path.mkdir` gives its mode to the last folder only: under a wide umask others could replace what is in its parents.
    Folders that are there already stay as they are.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        if folder.parent == folder:
            break
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` at `path`, readable by the user alone; whoever reads meanwhile gets the old file or the new one.

    Args:
        mode: Other permissions; the user's umask takes its part of them away.
    Raises:
        OSError: It can't be written; the old file is as it was.
    """
    make_private(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        with open(os.open(temporary, flags, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
