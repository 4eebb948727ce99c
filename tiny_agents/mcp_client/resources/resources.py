"""Resources of servers: how they are listed, and what reading one gives. Pure; reads the wire's own JSON."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tiny_agents.mcp_client.results.results import ToolResult, read_result
from tiny_agents.mcp_client.text import encodable, readable, shortened
from tiny_agents.records import Discreet

MAX_DESCRIPTION_CHARS = 8_000

_VARIABLE = re.compile(r"\{([+#./;?&]?)([^{}]*)\}")


class Resource(msgspec.Struct, frozen=True):
    """Something that a server lets be read: a file, a page, a record.

    Attributes:
        server: Who offers it, as it is called here.
        uri: What it is read by; only the server knows what it means, also where it starts with `file:` or `https:`.
        name: The server's short name for it.
        title: The same for people.
        mime_type: Such as `text/plain`, where the server says so.
        size: In bytes, where the server knows.
    """

    server: str
    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None


class ResourceTemplate(msgspec.Struct, frozen=True):
    """A pattern for URIs that a server reads: `weather://{city}/today`, as RFC 6570 describes."""

    server: str
    uri_template: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """The names in its braces, in order."""
        parts = (part for _, inner in _VARIABLE.findall(self.uri_template) for part in inner.split(","))
        return tuple(dict.fromkeys(re.sub(r"(?:\*|:\d+)$", "", part.strip()) for part in parts if part.strip()))

    def fits(self, uri: str) -> bool:
        """Whether `uri` can have been made from this template."""
        pattern, end = "", 0
        for found in _VARIABLE.finditer(self.uri_template):
            pattern += re.escape(self.uri_template[end : found.start()]) + _VALUES.get(found[1], ".*")
            end = found.end()
        return re.fullmatch(pattern + re.escape(self.uri_template[end:]), uri) is not None


_VALUES = {"": "[^/?#]+"}  # a simple variable can't hold a slash; the other kinds may hold, or add, almost anything


class ResourceContent(Discreet, msgspec.Struct, frozen=True):
    """A part of what was read: `text`, or `data` in bytes. One resource may have several, such as the files of a folder.

    Attributes:
        uri: That of the part.
    """

    not_shown = frozenset({"text", "data"})

    uri: str
    mime_type: str | None = None
    text: str | None = None
    data: bytes | None = None

    def block(self) -> dict[str, Any]:
        """The same as an embedded resource of a result, in the wire's own JSON."""
        held: dict[str, Any] = {"uri": self.uri}
        if self.mime_type:
            held["mimeType"] = self.mime_type
        if self.text is not None:
            held["text"] = self.text
        else:
            held["blob"] = base64.b64encode(self.data or b"").decode()
        return {"type": "resource", "resource": held}


def read_resource_entry(server: str, listed: Mapping[str, Any]) -> Resource:
    """A resource from its entry in a `resources/list` answer, or from a resource link."""
    size = listed.get("size")
    return Resource(
        server,
        encodable(str(listed["uri"])),
        **_described(listed),
        size=size if isinstance(size, int) and not isinstance(size, bool) else None,
    )


def read_template_entry(server: str, listed: Mapping[str, Any]) -> ResourceTemplate:
    """A template from its entry in a `resources/templates/list` answer."""
    return ResourceTemplate(server, encodable(str(listed["uriTemplate"])), **_described(listed))


def _described(listed: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": readable(str(listed.get("name") or "")),
        "title": seen(listed.get("title")),
        "description": seen(listed.get("description")),
        "mime_type": seen(listed.get("mimeType")),
    }


def seen(text: object) -> str | None:
    """A text of a server's as people and models may see it; None where there is none."""
    return shortened(readable(str(text)), MAX_DESCRIPTION_CHARS) if text else None


def read_contents(contents: Sequence[Mapping[str, Any]]) -> tuple[ResourceContent, ...]:
    """The parts of a `resources/read` answer.

    Raises:
        ValueError: What should be base64 isn't.
    """
    return tuple(_content(part) for part in contents)


def _content(part: Mapping[str, Any]) -> ResourceContent:
    uri, mime_type = encodable(str(part.get("uri"))), seen(part.get("mimeType"))
    text = part.get("text")
    if isinstance(text, str):
        return ResourceContent(uri, mime_type, text=encodable(text))
    try:
        return ResourceContent(uri, mime_type, data=base64.b64decode(str(part.get("blob") or ""), validate=True))
    except binascii.Error as error:
        raise ValueError(f"its data is not valid base64: {error}") from error


def as_result(contents: Sequence[ResourceContent]) -> ToolResult:
    """What was read as a model is told: the text, and images as a model that takes them sees them."""
    return read_result([content.block() for content in contents])
