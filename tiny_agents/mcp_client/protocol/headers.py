"""What a request of the newer protocol says in HTTP headers too, so that what stands between may route by it. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

VERSION: Final = "mcp-protocol-version"
METHOD: Final = "mcp-method"
NAME: Final = "mcp-name"
PARAM: Final = "Mcp-Param-"
ANNOTATION: Final = "x-mcp-header"
"""In the schema of an argument: the name of the header that says its value."""

_NAMED_BY = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
_KINDS = ("string", "integer", "boolean")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_ENCODED = re.compile(r"=\?base64\?.*\?=")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

# Where a schema holds schemas, besides `properties`; what holds values (`default`, `enum`) isn't looked into.
_ONE = frozenset(
    {"items", "contains", "unevaluatedItems", "additionalProperties", "propertyNames", "unevaluatedProperties"}
    | {"not", "if", "then", "else", "contentSchema"}
)
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_BY_NAME = frozenset({"patternProperties", "dependentSchemas", "$defs", "definitions"})

Path = tuple[str, ...]


def request_headers(version: str, method: str, params: Mapping[str, Any]) -> dict[str, str]:
    """The headers of any request of the newer protocol."""
    headers = {VERSION: version, METHOD: method}
    if isinstance(name := params.get(_NAMED_BY.get(method, "")), str):
        headers[NAME] = header_value(name)
    return headers


def header_value(text: str) -> str:
    """`text` as a header can hold it, encoded where it isn't plain."""
    if _PLAIN.fullmatch(text) and text == text.strip() and not _ENCODED.fullmatch(text):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def annotated(schema: Any) -> dict[Path, str]:
    """The arguments of a tool whose values are said in headers: path -> name of the header.

    Raises:
        ValueError: An annotation is where it can't be, or isn't what it has to be; such a tool must not be used.
    """
    found: dict[Path, str] = {}
    names: set[str] = set()
    for path, part in _parts(schema):
        if ANNOTATION not in part:
            continue
        name = part[ANNOTATION]
        if not path:
            raise ValueError(f"{ANNOTATION} is not on a property of the arguments")
        where = ".".join(path)[:200]
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise ValueError(f"the {ANNOTATION} of '{where}' is no name of a header")
        if part.get("type") not in _KINDS:
            raise ValueError(f"'{where}' has an {ANNOTATION}, and is no text, whole number or yes and no")
        if name.lower() in names:
            raise ValueError(f"the {ANNOTATION} of '{where}' is used twice")
        names.add(name.lower())
        found[path] = name
    return found


def _parts(schema: Any) -> Iterator[tuple[Path | None, Mapping[str, Any]]]:
    """All schemas within a schema, each with the path of the properties that lead to it; None where others are between."""
    left: list[tuple[Path | None, Any]] = [((), schema)]
    while left:
        path, part = left.pop()
        if not isinstance(part, dict):
            continue
        yield path, part
        for key, value in part.items():
            if key == "properties" and isinstance(value, dict):
                left += (((*path, name) if path is not None else None, inner) for name, inner in value.items())
            elif key in _ONE:
                left.append((None, value))
            elif key in _SEVERAL and isinstance(value, list):
                left += ((None, inner) for inner in value)
            elif key in _BY_NAME and isinstance(value, dict):
                left += ((None, inner) for inner in value.values())


def param_headers(names: Mapping[Path, str], arguments: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a call: what is there of the annotated arguments, as text."""
    headers = {}
    for path, name in names.items():
        value: Any = arguments
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if isinstance(value, (str, int, float)):
            headers[f"{PARAM}{name}"] = header_value(_as_text(value))
    return headers


def _as_text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
