"""What the Hub says is in a folder of a repository, and whether that may be written to this disk. Pure.

Nothing that comes from outside is taken at its word: a path that leaves the folder, that some file system doesn't take, or
that is another one's double there is refused, and so is more than an agent needs.

Source: the Hub's `tree` endpoint: a list of `{"type": "file", "path", "size", "oid", "lfs": {"oid", "size"}}`; `oid`
is git's SHA-1 of the blob, `lfs.oid` the SHA-256 of the content.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tiny_agents.errors import InvalidResponseError

MAX_FILES = 500
MAX_FILE_BYTES = 20_000_000
MAX_TOTAL_BYTES = 50_000_000
MAX_PATH = 240
MAX_PART = 120
MAX_DEPTH = 12

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Windows takes these for devices, with any ending.
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")


class TreeFile(msgspec.Struct, frozen=True):
    """A file as the Hub lists it.

    Attributes:
        path: From the folder, with forward slashes.
        oid: Git's SHA-1 of the blob; for a large file, the SHA-256 of the content.
    """

    path: str
    size: int
    oid: str

    @property
    def is_large(self) -> bool:
        return _SHA256.fullmatch(self.oid) is not None


@dataclass(frozen=True, slots=True)
class Listing:
    """The folder's files, checked, in the order of their paths."""

    files: tuple[TreeFile, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """One checksum of all paths and contents: the same for every revision that has the same files."""
        lines = "".join(f"{file.oid} {file.path}\n" for file in self.files)
        return hashlib.sha256(lines.encode()).hexdigest()


def read_listing(entries: Iterable[Any], folder: str, *, what: str) -> Listing:
    """The Hub's entries for `folder` as files that may be fetched.

    Args:
        folder: Path in the repository; "" for all of it.
        what: Begins the error messages: "the agent 'user/agent'".
    Raises:
        InvalidResponseError: An entry is no entry, lies elsewhere, has a path that can't be used, or they are too many.
    """
    start = f"{folder}/" if folder else ""
    files: list[TreeFile] = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
            raise InvalidResponseError(f"{what}: the Hub's list of its files has an entry without a path.")
        if entry.get("type") == "directory":
            continue
        path = entry["path"]
        if not path.startswith(start):
            raise InvalidResponseError(f"{what}: the Hub lists the file {_shown(path)}, which isn't in the folder.")
        inner = path[len(start) :]
        if problem := path_problem(inner):
            raise InvalidResponseError(
                f"{what} has a file with the path {_shown(inner)}, which {problem}. Nothing is kept."
            )
        files.append(_file(inner, entry, what))
    _check_size(files, what)
    _check_doubles([file.path for file in files], what)
    return Listing(tuple(sorted(files, key=lambda file: file.path)))


def path_problem(path: str) -> str | None:
    """Why a path from outside can't be a file below a folder here, to finish "..., which"; None if it can."""
    parts = path.split("/")
    if not path or path.startswith("/") or "\\" in path or any(part in ("", ".", "..") for part in parts):
        return "doesn't stay below the agent's folder"
    if any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in path):
        return "has characters in it that can't be seen"
    if any(char in path for char in ':*?"<>|') or any(
        part.endswith((".", " ")) or part != part.strip() for part in parts
    ):
        return "isn't a path on every system"
    if any(_DEVICES.fullmatch(part) for part in parts):
        return "names a device on Windows"
    if any(part.casefold() == ".git" for part in parts):
        return "belongs to git itself"
    if len(path.encode()) > MAX_PATH or any(len(part.encode()) > MAX_PART for part in parts):
        return "is too long"
    if len(parts) > MAX_DEPTH:
        return "lies too deep"
    return None


def _file(path: str, entry: Mapping[str, Any], what: str) -> TreeFile:
    large = entry.get("lfs")
    about = large if isinstance(large, dict) else entry
    size, oid = about.get("size"), about.get("oid")
    shape = _SHA256 if isinstance(large, dict) else _SHA1
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidResponseError(f"{what}: the Hub doesn't say how large {path} is.")
    if not isinstance(oid, str) or not shape.fullmatch(oid):
        raise InvalidResponseError(f"{what}: the Hub doesn't say what the checksum of {path} is.")
    return TreeFile(path, size, oid)


def _check_size(files: list[TreeFile], what: str) -> None:
    advice = "An agent's folder holds what the agent needs and nothing else."
    if len(files) > MAX_FILES:
        raise InvalidResponseError(f"{what} has more than {MAX_FILES} files, and isn't fetched. {advice}")
    for file in files:
        if file.size > MAX_FILE_BYTES:
            raise InvalidResponseError(
                f"{what}: {file.path} has {file.size:,} bytes; at most {MAX_FILE_BYTES:,} are fetched. {advice}"
            )
    if (total := sum(file.size for file in files)) > MAX_TOTAL_BYTES:
        raise InvalidResponseError(
            f"{what} has {total:,} bytes in all; at most {MAX_TOTAL_BYTES:,} are fetched. {advice}"
        )


def _check_doubles(paths: list[str], what: str) -> None:
    """Some file systems don't tell `A` from `a`, or ways to write the same accent: one of the two would win unseen."""
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    for path in paths:
        plain = _plain(path)
        if plain in seen:
            raise InvalidResponseError(
                f"{what} has the files {seen[plain]} and {path}, which are the same file on some systems. Nothing is kept."
            )
        seen[plain] = path
        parts = path.split("/")
        for end in range(1, len(parts)):
            folders["/".join(map(_plain, parts[:end]))] = path
    for plain, path in seen.items():
        if plain in folders:
            raise InvalidResponseError(
                f"{what} has the file {path} and, as if that were a folder, {folders[plain]}. Nothing is kept."
            )


def _plain(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold()


def _shown(path: str) -> str:
    """A hostile path in a message: whatever it holds as escapes, and not much of it."""
    text = ascii(path)
    return text if len(text) <= 80 else f"{text[:60]}…' ({len(path)} characters)"


def blob_oid(data: bytes, *, large: bool) -> str:
    """The checksum under which the Hub lists content: git's for a blob, or for a large file plain SHA-256."""
    if large:
        return hashlib.sha256(data).hexdigest()
    # Git's own identity of a blob; what is trusted and locked is the SHA-256 of the content.
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def content_hash(files: Mapping[str, str]) -> str:
    """One SHA-256 over the files of a folder: path -> SHA-256 of the content."""
    return hashlib.sha256("".join(f"{files[path]} {path}\n" for path in sorted(files)).encode()).hexdigest()
