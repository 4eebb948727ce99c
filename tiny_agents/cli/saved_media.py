"""Images, sound and files in a tool's result -> files of the user's."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tiny_agents.data_dir import write_new
from tiny_agents.errors import TinyAgentsError

_ENDINGS = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp", "audio/wav": ".wav", "audio/mpeg": ".mp3"}
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")
MAX_NAMES = 10_000


def binary_of(block: Mapping[str, Any]) -> tuple[str, bytes] | None:
    """Media type and bytes of a block of a result; None for one that is text, a link, or broken."""
    found = block.get("resource") if block.get("type") == "resource" else block
    if not isinstance(found, Mapping):
        return None
    data = found.get("blob") if block.get("type") == "resource" else found.get("data")
    if not isinstance(data, str):
        return None
    data = data.partition(",")[2] if data.startswith("data:") else data
    try:
        return str(found.get("mimeType") or "").partition(";")[0].strip().lower(), base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def save(data: bytes, mime: str, folder: Path, tool: str) -> Path:
    """Write `data` to a new file in `folder`, named after the tool; nothing is ever overwritten.

    Raises:
        TinyAgentsError: It can't be written.
    """
    # the file's ending comes from a short list: a server can't have a program or a script put somewhere
    ending = _ENDINGS.get(mime) or (mime.startswith(("image/", "audio/")) and mimetypes.guess_extension(mime)) or ".bin"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in _names(folder, _UNSAFE.sub("_", tool)[:60] or "result", ending):
            try:
                write_new(path, data, mode=0o666)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise TinyAgentsError(
            f"what the tool returned can't be saved in {folder}: {error.strerror or error}"
        ) from error
    raise TinyAgentsError(f"what the tool returned can't be saved: {folder} is full of files of this name")


def _names(folder: Path, stem: str, ending: str) -> Iterator[Path]:
    for number in range(1, MAX_NAMES):
        yield folder / f"{stem}-{number}{ending}"
