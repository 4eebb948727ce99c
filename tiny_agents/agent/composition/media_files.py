"""Files of tasks: a private folder for what they make, and the folders from which they may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tiny_agents.data_dir import data_dir, write_private
from tiny_agents.errors import UsageError

MAX_FILES = 100
MAX_BYTES = 1_000_000_000
MAX_READ_BYTES = 50_000_000

_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/mpeg": ".mp3",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}


@dataclass(slots=True)
class MediaFiles:
    """What tasks write and read.

    Attributes:
        readable: Folders that files may be read from; those that were made here can be read always.
        folder: Where files are made; a new one in the user's data directory, once there is one to be made.
    """

    readable: tuple[Path, ...] = ()
    folder: Path | None = None
    _files: int = field(default=0, init=False)
    _bytes: int = field(default=0, init=False)

    def keep(self, name: str, data: bytes, mime: str | None) -> Path:
        """Keep a file for the user.

        Raises:
            UsageError: There are too many, or it is too large.
        """
        if self._files >= MAX_FILES or self._bytes + len(data) > MAX_BYTES:
            raise UsageError(
                f"at most {MAX_FILES} files and {MAX_BYTES // 1_000_000:,} MB are kept for one agent, so this one is not"
            )
        if self.folder is None:
            stamp = datetime.now().strftime("%Y-%m-%d-%H%M%S")
            self.folder = data_dir(os.environ) / "outputs" / f"{stamp}-{secrets.token_hex(3)}"
        self._files += 1
        self._bytes += len(data)
        path = self.folder / f"{name}-{self._files}{_ENDINGS.get(mime or '', '.bin')}"
        write_private(path, data)
        return path

    def read(self, name: str) -> Path:
        """The file that a model means with `name`, all links followed.

        Raises:
            UsageError: It isn't there, lies outside the folders, or is too large.
        """
        folders = [*self.readable, *([self.folder] if self.folder is not None else [])]
        for path in _candidates(name, folders):
            target = Path(os.path.realpath(path))
            if any(_is_below(target, folder) for folder in folders) and target.is_file():
                if target.stat().st_size > MAX_READ_BYTES:
                    raise UsageError(f"{name[:200]!r} is larger than {MAX_READ_BYTES // 1_000_000} MB")
                return target
        known = ", ".join(map(str, folders)) or "none yet"
        raise UsageError(f"there is no file {name[:200]!r} in the folders that may be read from: {known}")


def _candidates(name: str, folders: Iterable[Path]) -> list[Path]:
    if not name or "\0" in name:
        return []
    return [folder / name for folder in folders]  # an absolute path replaces the folder


def _is_below(target: Path, folder: Path) -> bool:
    root = os.path.realpath(folder)
    try:
        return os.path.commonpath([root, target]) == root
    except ValueError:  # on Windows, another drive
        return False
