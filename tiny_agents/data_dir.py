"""Where what belongs to the user is kept: answers, histories, locks. And how a file gets there whole, for the user alone."""

from __future__ import annotations

import errno
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
    try:
        write_new(temporary, data, mode=mode)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    _settle(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Put `data` into a file that isn't there yet.

    Raises:
        FileExistsError: It is.
        OSError: It can't be written, and nothing is left of it; `filename` is its path.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def _settle(folder: Path) -> None:
    """Have the names in `folder` written to the disk too, so that a power cut doesn't bring back the old file."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have nothing to do there
            raise
    finally:
        os.close(descriptor)
