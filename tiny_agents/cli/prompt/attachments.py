"""`@file` and `@server:resource` in a prompt -> what is sent with it. All is read, and bounded, before anything is sent."""

from __future__ import annotations

import asyncio
import base64
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_agents.agent.agent import Agent
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.errors import ServerError, UsageError
from tiny_agents.mcp_client.resources.resources import ResourceContent

MAX_TEXT_BYTES = 1_000_000
MAX_IMAGE_BYTES = 10_000_000
MAX_ATTACHMENTS = 20

_MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"@][^\s]*))')
_LITERAL = re.compile(r"(?<!\S)@@")
_LOOKS_LIKE_A_FILE = re.compile(r"[^()\[\]{}<>=,;'`]*(?:/[^()\[\]{}<>=,;'`]*|\.[A-Za-z0-9]{1,5})")
_TRAILING = ".,;:!?)]}'"
_IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


@dataclass(frozen=True, slots=True)
class Mention:
    """What an @ names.

    Attributes:
        server: Whose resource; empty for a file.
        name: The path of the file, or the resource's URI.
    """

    server: str
    name: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A part that goes along: its text, or an image as a data URL."""

    title: str
    text: str = ""
    image: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prompt that is ready to be sent, and a line about each thing that goes along."""

    content: str | list[dict[str, Any]]
    notes: Sequence[str] = ()


def mentions(text: str, servers: Collection[str], folder: Path) -> list[Mention]:
    """What is attached. In code between fences an @ means nothing, nor does one before a word that is no file.

    Raises:
        UsageError: A name that can only be a file's isn't there.
    """
    found: list[Mention] = []
    for line in _outside_code(text):
        for match in _MENTION.finditer(line):
            server, colon, rest = (match[1] or match[2]).partition(":")
            if colon and rest and server in servers:
                mention: Mention | None = Mention(server, rest)
            else:
                mention = _file(match[1], match[2], folder)
            if mention is not None and mention not in found:
                found.append(mention)
    if len(found) > MAX_ATTACHMENTS:
        raise UsageError(f"{len(found)} things are attached, which is more than {MAX_ATTACHMENTS}: nothing was sent")
    return found


def _outside_code(text: str) -> Iterator[str]:
    is_code = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            is_code = not is_code
        elif not is_code:
            yield line


def _file(quoted: str | None, bare: str | None, folder: Path) -> Mention | None:
    name = quoted or bare or ""
    for candidate in dict.fromkeys((name, name.rstrip(_TRAILING))):
        if candidate and _exists(folder / Path(candidate).expanduser()):
            return Mention("", candidate)
    if quoted or _LOOKS_LIKE_A_FILE.fullmatch(name.rstrip(_TRAILING)):
        raise UsageError(
            f"there is no file {one_line(name, 200)}: nothing was sent (a second @ before the name sends it as text)"
        )
    return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long for one
        return False


def read_file(name: str, folder: Path, *, takes_images: bool) -> Attached:
    """A file as it is sent.

    Raises:
        UsageError: It can't be read, is too large, or is neither text nor an image that the model takes.
    """
    path = folder / Path(name).expanduser()
    shown = one_line(name, 200)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{shown} is no file but {'a folder' if stat.S_ISDIR(status.st_mode) else 'a device'}")
        if status.st_size > MAX_IMAGE_BYTES:
            raise UsageError(f"{shown} is too large to be attached: {status.st_size:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{shown} can't be read: {error.strerror}") from error
    return _of_bytes(f"File {name}", shown, data, takes_images)


def _of_bytes(title: str, shown: str, data: bytes, takes_images: bool) -> Attached:
    mime = image_type(data)
    if mime is not None:
        if not takes_images:
            raise UsageError(f"{shown} is an image, and the model takes none: nothing was sent")
        if len(data) > MAX_IMAGE_BYTES:
            raise UsageError(f"{shown} is too large to be attached: {len(data):,} bytes")
        return Attached(title, image=f"data:{mime};base64,{base64.b64encode(data).decode()}", size=len(data))
    if len(data) > MAX_TEXT_BYTES:
        raise UsageError(
            f"{shown} is too large to be attached: {len(data):,} bytes, at most {MAX_TEXT_BYTES:,} of text"
        )
    try:
        return Attached(title, text=data.decode("utf-8-sig"), size=len(data))
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{shown} is neither text in UTF-8 nor an image (PNG, JPEG, GIF, WebP): nothing was sent"
        ) from error


def image_type(data: bytes) -> str | None:
    """The type of an image that models take; None for anything else."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((mime for start, mime in _IMAGES if data.startswith(start)), None)


def of_resource(mention: Mention, parts: Sequence[ResourceContent], *, takes_images: bool) -> list[Attached]:
    """A resource as it is sent."""
    shown = one_line(f"{mention.server}:{mention.name}", 200)
    return [
        _of_bytes(
            f"Resource {part.uri} of {mention.server}",
            shown,
            part.text.encode("utf-8", "replace") if part.text is not None else part.data or b"",
            takes_images,
        )
        for part in parts
    ]


async def prepare(text: str, agent: Agent, folder: Path) -> Prepared:
    """The prompt with what it attaches.

    Raises:
        UsageError: Something can't be attached; nothing was sent.
    """
    found = mentions(text, agent.connections, folder)
    said = _LITERAL.sub("@", text)
    attached: list[Attached] = []
    for mention in found:
        if not mention.server:
            attached.append(await asyncio.to_thread(read_file, mention.name, folder, takes_images=agent.takes_images))
            continue
        try:
            parts = await agent.read_resource(mention.name, mention.server)
        except ServerError as error:
            raise UsageError(f"{error}: nothing was sent") from error
        attached += of_resource(mention, parts, takes_images=agent.takes_images)
    return Prepared(
        content_of(said, attached), [f"Attached: {one_line(a.title, 200)}, {a.size:,} bytes" for a in attached]
    )


def content_of(said: str, attached: Sequence[Attached]) -> str | list[dict[str, Any]]:
    """Texts behind what was said; images as parts of their own."""
    text = "\n\n".join([said, *(f"[{each.title}]\n{each.text}" for each in attached if not each.image)])
    images = [{"type": "image_url", "image_url": {"url": each.image}} for each in attached if each.image]
    return [{"type": "text", "text": text}, *images] if images else text
