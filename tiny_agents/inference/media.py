"""Binary inputs (bytes, files, URLs, images) -> `Media`, and images back from bytes.

A builder wraps what the user gave in `Content`. Before a provider sees the call, the client turns each `Content` in it into
`Media`: `read` takes what is on this machine (it may wait for a disk, so the asynchronous client runs it in a worker
thread), `fetched` asks for what a URL names, without any key. The rest of this module is pure.
"""

from __future__ import annotations

import base64
import binascii
import io
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, TypeVar
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec
from msgspec.structs import replace

from tiny_agents._lazy import require
from tiny_agents.errors import (
    InputNotFoundError,
    InvalidResponseError,
    ProviderError,
    UnreadableInputError,
    UsageError,
    public_url,
    redact,
)
from tiny_agents.inference.call import Ask, Call, Request, Response, Step, and_then
from tiny_agents.records import Discreet

if TYPE_CHECKING:
    from PIL.Image import Image

ContentT: TypeAlias = "bytes | bytearray | memoryview | BinaryIO | os.PathLike[str] | str | Image"
"""What a binary input may be given as: bytes, an open file (binary), a path, a URL (http, https, data), a PIL image."""

T = TypeVar("T")


class Media(Discreet, msgspec.Struct, frozen=True):
    """A binary input, read.

    Attributes:
        mime: Its media type as far as somebody said it: a file's name, a server, an image's format. None for bare bytes;
            `media_type` looks at the bytes themselves.
    """

    not_shown = frozenset({"data"})

    data: bytes
    mime: str | None = None


class Content(Discreet, msgspec.Struct, frozen=True):
    """A binary input as the user gave it, not read yet. `argument` is its name in the task's signature."""

    not_shown = frozenset({"source"})

    source: Any
    argument: str


def content(source: Any, argument: str) -> Content:
    """Wrap a binary input. Raises UsageError for what can't be one, before anything is sent."""
    known = isinstance(source, (bytes, bytearray, memoryview, str, os.PathLike)) or hasattr(source, "read")
    if not known and not _is_image(source):
        raise UsageError(
            f"{argument}: bytes, an open file, a path, a URL or a PIL image is needed; got {type(source).__name__}."
        )
    return Content(source, argument)


# ---------------------------------------------------------------- from the user to the provider


def has_content(call: Call[Any]) -> bool:
    """Whether `call` has binary inputs that weren't read yet."""
    return any(isinstance(value, Content) for value in _values(call.inputs))


def read(call: Call[T]) -> Call[T]:
    """`call` with every input that is on this machine read into `Media`; URLs are left.

    Raises:
        UnreadableInputError, InputNotFoundError: A file that can't be read.
        UsageError: An input that is empty, or a file that was opened in text mode.
    """
    return _with_inputs(call, lambda found: found if url_of(found) else _read_one(found))


def fetched(call: Call[T], *, keep_urls: bool) -> Step[Call[T]]:
    """`call` with every URL in it fetched, or, with `keep_urls`, as text for a provider that fetches it itself.

    Raises:
        ProviderError, InvalidResponseError: The URL answers with an error, with a web page or with nothing.
    """
    if keep_urls:
        return _with_inputs(call, lambda found: url_of(found) or found)
    waiting = next((value for value in _values(call.inputs) if isinstance(value, Content)), None)
    if waiting is None:
        return call
    url = url_of(waiting) or ""

    def refused(error: ProviderError) -> Media:
        raise ProviderError(
            f"{waiting.argument}: could not be fetched; nothing was sent to the model. {error}",
            status=error.status,
            body=error.body,
            url=error.url,
        ) from error

    step: Step[Media] = Ask(Request("GET", url), lambda response: _downloaded(waiting, response), refused=refused)
    return and_then(step, lambda media: fetched(_with(call, waiting, media), keep_urls=keep_urls))


def url_of(found: Content) -> str | None:
    """The URL that an input is given as, if it is one that has to be fetched."""
    source = found.source
    is_url = isinstance(source, str) and source[:8].lower().startswith(("http://", "https://"))
    return source if is_url else None


def _values(inputs: Any) -> list[Any]:
    return list(inputs.values()) if isinstance(inputs, Mapping) else [inputs]


def _with_inputs(call: Call[T], change: Callable[[Content], Any]) -> Call[T]:
    def changed(value: Any) -> Any:
        return change(value) if isinstance(value, Content) else value

    if isinstance(call.inputs, Mapping):
        return replace(call, inputs={key: changed(value) for key, value in call.inputs.items()})
    return replace(call, inputs=changed(call.inputs))


def _with(call: Call[T], place: Content, media: Media) -> Call[T]:
    return _with_inputs(call, lambda found: media if found is place else found)


def _read_one(found: Content) -> Media:
    source = found.source
    if isinstance(source, (bytes, bytearray, memoryview)):
        media = Media(bytes(source))
    elif isinstance(source, str) and source[:5].lower() == "data:":
        media = _from_data_url(source, found.argument)
    elif isinstance(source, (str, os.PathLike)):
        media = _from_path(os.fsdecode(source), found.argument)
    elif _is_image(source):
        media = _from_image(source)
    else:
        media = _from_file(source, found.argument)
    if not media.data:
        raise UsageError(f"{found.argument}: there is nothing in it{_hint(source)}.")
    return media


def _hint(source: Any) -> str:
    return " (an open file is read from where it stands)" if hasattr(source, "read") else ""


def _from_path(path: str, argument: str) -> Media:
    shown = path if len(path) <= 200 else path[:80] + "..."
    try:
        with open(path, "rb") as file:
            return Media(file.read(), type_of_name(path))
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"{argument}: there is no file {shown!r}. Text is taken as a path or a URL; pass content itself as bytes."
        ) from error
    except (OSError, ValueError) as error:  # ValueError: no system takes such a name
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UnreadableInputError(f"{argument}: {shown!r} can't be read: {reason}.") from error


def _from_file(file: Any, argument: str) -> Media:
    name = getattr(file, "name", None)
    try:
        data = file.read()
    except (OSError, ValueError) as error:  # ValueError: the file was closed
        raise UnreadableInputError(f"{argument}: the open file can't be read: {error}.") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise UsageError(f"{argument}: the file gives text; open it in binary mode: open(..., 'rb').")
    return Media(bytes(data), type_of_name(name) if isinstance(name, str) else None)


def _from_image(image: Any) -> Media:
    kind = image.format or "PNG"
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return Media(buffer.getvalue(), f"image/{kind.lower()}")


def _from_data_url(url: str, argument: str) -> Media:
    head, comma, text = url[5:].partition(",")
    kind, *options = head.split(";")
    if not comma:
        raise UsageError(f"{argument}: a data URL without data: {url[:80]!r}.")
    try:
        data = base64.b64decode(text) if "base64" in options else unquote_to_bytes(text)
    except binascii.Error as error:
        raise UsageError(f"{argument}: a data URL that is not base64: {error}.") from error
    return Media(data, kind or None)


def _downloaded(found: Content, response: Response) -> Media:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower() or None
    where = public_url(response.url)
    if not response.body:
        raise InvalidResponseError(f"{found.argument}: {where} is empty; nothing was sent to the model.")
    if kind == "text/html":
        raise InvalidResponseError(
            f"{found.argument}: {where} is a web page, not the file itself; nothing was sent to the model."
        )
    return Media(response.body, kind or type_of_name(urlsplit(response.url).path))


# ---------------------------------------------------------------- forms on the wire


def base64_text(media: Media) -> str:
    return base64.b64encode(media.data).decode("ascii")


def data_url(media: Media | str, default: str) -> str:
    """A `data:` URL of `media`, for APIs that take an address where a file is meant. Text (a URL) is handed through.

    Args:
        default: Media type where nobody said one. Providers look at the bytes, and this is what they are used to.
    """
    if isinstance(media, str):
        return media
    return f"data:{media.mime or default};base64,{base64_text(media)}"


_SUFFIXES = {
    ".aac": "audio/aac",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".m4a": "audio/mp4",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
"""Written out, because Python's table is extended by each system's own files: the same call would differ by machine."""


def type_of_name(name: str) -> str | None:
    """Media type by the end of a file's name."""
    return _SUFFIXES.get(PurePath(name).suffix.lower())


_SIGNATURES: list[tuple[int, bytes, str]] = [
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (4, b"ftypavif", "image/avif"),
    (0, b"fLaC", "audio/flac"),
    (8, b"WAVE", "audio/wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"%PDF-", "application/pdf"),
]
"""Place, bytes, media type. Source: each format's specification, header."""


def media_type(data: bytes) -> str | None:
    """Media type by the first bytes of a file; None for what isn't known."""
    return next((kind for place, mark, kind in _SIGNATURES if data[place : place + len(mark)] == mark), None)


# ---------------------------------------------------------------- images


def pillow(purpose: str) -> Any:
    """The module `PIL.Image`. Raises MissingDependencyError that names the extra; `purpose` starts its sentence."""
    return require("PIL.Image", extra="images", purpose=purpose)


def image_of(data: bytes, *, source: str) -> Image:
    """The image in `data`, decoded when its pixels are asked for. `source` is named if there is none."""
    pil = pillow("An image as a result")
    try:
        image: Image = pil.open(io.BytesIO(data))
    except (OSError, ValueError, SyntaxError, pil.DecompressionBombError) as error:
        # These are what Pillow's readers raise for what they can't, or should not, read.
        text = redact(data[:4096].decode("utf-8", "replace"))
        raise InvalidResponseError(
            f"{source} answered with something that is no image: {text[:200]!r}", body=text
        ) from error
    return image


def _is_image(source: Any) -> bool:
    # Who has an image has imported Pillow; nobody else has to.
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(source, module.Image)
