"""Images of tool results: shown where the terminal can, saved else. Pure but for the saving.

What is written to the terminal is encoded here, from bytes that begin as an image does; nothing of the server's text
gets into an escape sequence.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiny_agents.cli.live import sixel
from tiny_agents.cli.live.area import Drawn
from tiny_agents.cli.prompt.attachments import image_type
from tiny_agents.data_dir import data_dir, write_private
from tiny_agents.mcp_client.results.results import ToolResult

MAX_BYTES = 10_000_000
MAX_IMAGES = 8
WIDE_PIXELS = 600
WIDE_COLUMNS = 60
CHUNK = 4096  # most that the protocol of kitty takes at once
PNG_HEAD = 24
MAX_PIXELS = 50_000_000
SIXEL_WIDE, SIXEL_HIGH = 480, 360
SIXEL_COLOURS = 64

IMAGES_VARIABLE = "TINY_AGENTS_IMAGES"
"""Which way to show images, whatever the terminal seems to be: kitty, iterm2, sixel, or anything else for none."""

_SIXEL_TERMINALS = ("foot", "mlterm", "contour", "yaft")
_SIXEL_PROGRAMS = ("mintty", "contour")
KONSOLE_WITH_SIXELS = 220400

_SUFFIXES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class ShownImage:
    """What there is to show of an image: the image, or a note on where it is."""

    inline: Drawn | None = None
    note: str = ""


def images_of(result: ToolResult) -> Iterator[bytes]:
    """The images of a result, the first ones."""
    count = 0
    for block in result.content:
        held = block.get("resource") if block.get("type") == "resource" else block
        data = (held.get("data") or held.get("blob")) if isinstance(held, Mapping) else None
        if not isinstance(data, str) or len(data) > MAX_BYTES * 4 // 3:
            continue
        try:
            decoded = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            continue
        if image_type(decoded) is not None and count < MAX_IMAGES:
            count += 1
            yield decoded


def show_images(result: ToolResult, env: Mapping[str, str] = os.environ) -> list[ShownImage]:
    """Each image as this terminal can show it; else it is saved, for the user alone to read."""
    return [ShownImage(line) if (line := inline(data, env)) else _saved(data, env) for data in images_of(result)]


def inline(data: bytes, env: Mapping[str, str]) -> Drawn | None:
    """The image in a way that the terminal understands; None where it understands none, or not for this kind of image."""
    way = _WAYS.get(env.get(IMAGES_VARIABLE, "").strip().lower() or _spoken(env) or "")
    shown = way(data) if way is not None else None
    return None if shown is None else Drawn(shown)


def _spoken(env: Mapping[str, str]) -> str | None:
    """How the terminal is shown images, as far as its environment says so."""
    if env.get("TMUX") or env.get("STY"):
        return None  # these don't pass it on
    program, kind = env.get("TERM_PROGRAM", ""), env.get("TERM", "")
    if env.get("LC_TERMINAL") == "iTerm2" or program in ("iTerm.app", "WezTerm"):
        return "iterm2"
    if kind == "xterm-kitty" or env.get("KITTY_WINDOW_ID") or program == "ghostty":
        return "kitty"
    konsole = env.get("KONSOLE_VERSION", "")
    new_konsole = konsole.isdecimal() and int(konsole) >= KONSOLE_WITH_SIXELS
    if kind.startswith(_SIXEL_TERMINALS) or "sixel" in kind or program in _SIXEL_PROGRAMS or new_konsole:
        return "sixel"
    return None


def _iterm2(data: bytes) -> str:
    return f"\x1b]1337;File=inline=1;size={len(data)}:{base64.b64encode(data).decode()}\x07"


def _kitty(data: bytes) -> str | None:
    if image_type(data) != "image/png" or len(data) < PNG_HEAD:
        return None
    (pixels,) = struct.unpack(">I", data[16:20])
    encoded = base64.b64encode(data).decode()
    chunks = [encoded[start : start + CHUNK] for start in range(0, len(encoded), CHUNK)]
    first = f"a=T,f=100,q=2{f',c={WIDE_COLUMNS}' if pixels > WIDE_PIXELS else ''},"
    return "".join(
        f"\x1b_G{first if index == 0 else ''}m={int(index < len(chunks) - 1)};{chunk}\x1b\\"
        for index, chunk in enumerate(chunks)
    )


def _sixel(data: bytes) -> str | None:
    """Made with Pillow, which the extra `images` installs; None without it, and for what is no image after all."""
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError:
        return None
    try:
        with Image.open(io.BytesIO(data), formats=["PNG", "JPEG", "GIF", "WEBP"]) as image:
            if image.width * image.height > MAX_PIXELS:
                return None
            image.thumbnail((SIXEL_WIDE, SIXEL_HIGH))
            seen = Image.new("RGBA", image.size, "white")
            seen.alpha_composite(image.convert("RGBA"))
        few = seen.convert("RGB").quantize(SIXEL_COLOURS)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None  # it is broken, and is saved as it came
    flat = few.getpalette() or []
    palette = [(flat[at], flat[at + 1], flat[at + 2]) for at in range(0, len(flat), 3)]
    return sixel.encode(few.width, few.tobytes(), palette)


_WAYS: Mapping[str, Callable[[bytes], str | None]] = {"kitty": _kitty, "iterm2": _iterm2, "sixel": _sixel}


def _saved(data: bytes, env: Mapping[str, str]) -> ShownImage:
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.{_SUFFIXES[image_type(data) or 'image/png']}"
    path = data_dir(env) / "images" / name
    try:
        write_private(path, data)
    except OSError as error:
        return ShownImage(note=f"an image of {len(data):,} bytes, which can't be saved: {error.strerror}")
    home = str(Path.home())
    shown = f"~{str(path)[len(home) :]}" if str(path).startswith(home + os.sep) else str(path)
    return ShownImage(note=f"image: {shown}")
