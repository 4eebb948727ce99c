"""What of a server's description is secret, and how it is kept out of what the server says. Pure.

A server knows what it was started with, and may say it again: in an error, in a result, in how it describes a tool.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec.structs import replace

from tiny_agents.errors import without
from tiny_agents.mcp_client.connection.servers import InProcessServer, Server, StdioServer

if TYPE_CHECKING:
    from tiny_agents.mcp_client.results.results import ToolResult
    from tiny_agents.mcp_client.tools.table import ServerTool

LEAST_CHARS = 6  # a shorter value is rather a setting
LEAST_CHARS_IN_RESULTS = 8  # in what tools return nothing is to be masked by chance

_NAMES = re.compile(r"(?i)(?:key|token|secret|password|passwd|pwd|pat|credentials?|authorization|auth|cookie|pass)s?$")
_OPTION = re.compile(r"(-{0,2}[\w.-]+)=(.+)", re.DOTALL)
_PATHS = ("/", "./", "../", "~")
_PASSWORD = re.compile(r"://[^/\s@:]*:([^/\s@]+)@")


def secrets_of(server: Server, more: Iterable[str] = ()) -> list[str]:
    """What must not appear in a message: headers, what is secret in its address or arguments, what its environment may hide.

    Any variable may hold a key, so all are meant but those that are too short to be one or look like a path.

    Args:
        more: What is known to be secret, however short.
    Returns: The longest first, as one may be a part of another.
    """
    return _sorted(more, (*_sure(server), *_suspected(server)))


def credentials_of(server: Server, more: Iterable[str] = ()) -> list[str]:
    """Of these only what is secret for certain, by its name or its place."""
    return _sorted(more, _sure(server))


def _sorted(known: Iterable[str], found: Iterable[str]) -> list[str]:
    values = {*known, *(value for value in found if len(value) >= LEAST_CHARS)}
    return sorted(values, key=lambda value: (-len(value), value))


def _suspected(server: Server) -> Iterator[str]:
    if isinstance(server, StdioServer):
        yield from (value for value in server.env.values() if not value.startswith(_PATHS))
    elif not isinstance(server, InProcessServer):
        yield from _words(server.headers.values())
        query = urlsplit(server.url).query
        yield query
        yield from (value for _, value in parse_qsl(query))


def _sure(server: Server) -> Iterator[str]:
    if isinstance(server, StdioServer):
        yield from (value for name, value in server.env.items() if _NAMES.search(name) and not value.startswith(_PATHS))
        yield from (found[1] for value in server.env.values() for found in _PASSWORD.finditer(value))
        yield from _in_arguments(server.args)
    elif not isinstance(server, InProcessServer):
        yield from _words(value for name, value in server.headers.items() if _NAMES.search(name))
        split = urlsplit(server.url)
        yield from (value for name, value in parse_qsl(split.query) if _NAMES.search(name))
        if split.username is not None:
            user, password = unquote(split.username), unquote(split.password or "")
            yield from (split.password or split.username, password or user)
            yield base64.b64encode(f"{user}:{password}".encode()).decode()  # as it is sent
        yield from server.auth.secrets


def _words(values: Iterable[str]) -> Iterator[str]:
    """Values, and what follows the word Bearer in one."""
    for value in values:
        yield value
        yield value.rpartition(" ")[2]


def _in_arguments(args: Sequence[str]) -> Iterator[str]:
    """`--token VALUE`, `--token=VALUE`, `TOKEN=VALUE`, and passwords in addresses."""
    for before, argument in zip(("", *args), args, strict=False):
        if before.startswith("-") and "=" not in before and _NAMES.search(before) and not argument.startswith("-"):
            yield argument
        if (option := _OPTION.fullmatch(argument)) and _NAMES.search(option[1]):
            yield option[2]
        yield from (found[1] for found in _PASSWORD.finditer(argument))


# ---------------------------------------------------------------- in what a server says


def clean_tool(tool: ServerTool, secrets: Sequence[str]) -> ServerTool:
    """`tool` as a model may be told of it: its server's keys are none of a model's business."""
    if not secrets:
        return tool
    described = None if tool.description is None else without(tool.description, secrets)
    return replace(tool, description=described, parameters=_clean(tool.parameters, secrets))


def clean_result(result: ToolResult, secrets: Sequence[str], suspected: Collection[str]) -> ToolResult:
    """`result` for a model. What is only `suspected` to be secret stays: it may be what the tool was asked for."""
    sure = [secret for secret in secrets if secret not in suspected and len(secret) >= LEAST_CHARS_IN_RESULTS]
    if not sure:
        return result
    whole = None if result.whole is None else without(result.whole, sure)
    return replace(result, text=without(result.text, sure), whole=whole)


def _clean(value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, str):
        return without(value, secrets)
    if isinstance(value, dict):
        return {key: _clean(item, secrets) for key, item in value.items()}
    return [_clean(item, secrets) for item in value] if isinstance(value, list) else value
