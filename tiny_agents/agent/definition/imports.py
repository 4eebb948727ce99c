"""Servers of other programs' files (`.mcp.json`, `.vscode/mcp.json` and their like) -> servers of a definition. Pure.

`mcpServers` is what Claude, Cursor and most others call them, `servers` what VS Code does, which also has `inputs`. Keys
that only mean something to those programs are ignored; what is used is checked as strictly as in agent.yaml.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from tiny_agents.agent.definition.document import Value, did_you_mean, read_json
from tiny_agents.agent.definition.jsonc import plain_json
from tiny_agents.agent.definition.part_keys import INPUT, PARAMS
from tiny_agents.agent.definition.readings import read_each
from tiny_agents.agent.definition.server_form import server_type
from tiny_agents.agent.definition.table import Problems
from tiny_agents.agent.definition.types import AgentDefinition, ImportDefinition, InputDefinition, ServerDefinition
from tiny_agents.agent.definition.yaml_parts import read_input
from tiny_agents.errors import ConfigError
from tiny_agents.mcp_client.connection.servers import ServerType

_HOLDERS = ("mcpServers", "servers")
_TYPES: Mapping[str, ServerType] = {
    "stdio": "stdio",
    "local": "stdio",
    "sse": "sse",
    "http": "http",
    **dict.fromkeys(("streamable-http", "streamableHttp", "streamable_http", "remote"), "http"),
}
_TAKEN = ("command", "args", "env", "cwd", "envFile", "url", "headers")  # others mean something else there, or nothing
_ADDRESSES = ("url", "serverUrl", "httpUrl")
_CLAUDE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^{}]*)?\}")
_OURS = ("agentDir", "workspaceFolder", "python")  # of these, VS Code has the second


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file of another program brings."""

    servers: tuple[ServerDefinition, ...]
    inputs: tuple[InputDefinition, ...]
    places: Mapping[str, tuple[int, int]]


def with_import(
    definition: AgentDefinition, number: int, wanted: ImportDefinition, text: str, path: Path
) -> AgentDefinition:
    """`definition` and the servers of its import `number`, whose file holds `text`.

    A server of the definition's own hides an imported one of the same name, and so does one of an earlier import.

    Raises:
        ConfigError: With the place in that file; or in the definition, where it wants what the file doesn't have.
    """
    prefix = f"import[{number}]."
    found = read_servers_file(text, path, prefix)
    names = [server.name for server in found.servers]
    for pattern in wanted.servers or ():
        if not fnmatch.filter(names, pattern):
            has = did_you_mean(pattern, names) or f"; it has {', '.join(names) or 'none'}"
            raise definition.error(f"import[{number}]", f"{wanted.file!r} has no server {pattern!r}{has}")
    chosen = [
        server
        for server in found.servers
        if wanted.servers is None or any(fnmatch.fnmatchcase(server.name, pattern) for pattern in wanted.servers)
    ]
    taken = {server.name for server in definition.servers}
    declared = {item.id for item in definition.inputs}
    return replace(
        definition,
        servers=(*definition.servers, *(server for server in chosen if server.name not in taken)),
        inputs=(*definition.inputs, *(item for item in _used(found.inputs, chosen) if item.id not in declared)),
        places={**definition.places, **found.places},
        imported={**definition.imported, prefix: path},
        sources=(*definition.sources, path),
    )


def _used(inputs: tuple[InputDefinition, ...], servers: list[ServerDefinition]) -> list[InputDefinition]:
    """Those that the servers use: a file of many servers has inputs of many."""
    texts = [text for server in servers for text in _texts(server.params)]
    return [item for item in inputs if any(f"${{input:{item.id}}}" in text for text in texts)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else ()
    return [text for item in items for text in _texts(item)]


# ---- the file


def read_servers_file(text: str, path: Path, prefix: str = "") -> Imported:
    """The servers and inputs of such a file; `prefix` begins the keys under which errors find their places later.

    Raises:
        ConfigError: With path, key, line and column, and in `others` what else is wrong.
    """
    root = read_json(plain_json(text.removeprefix("\ufeff")), str(path))
    entries = root.mapping()
    if "mcp" in entries and isinstance(entries["mcp"].data, dict):  # VS Code's settings.json
        entries = entries["mcp"].mapping()
    holder = next((entries[name] for name in _HOLDERS if name in entries), None)
    if holder is None:
        near = next((hint for name in entries if (hint := did_you_mean(name, _HOLDERS))), "")
        raise root.error(f"has neither `mcpServers` nor `servers`{near}")
    if not isinstance(holder.data, dict):
        raise holder.error(f"must be a mapping of names to servers, but is {holder.kind}")
    problems = Problems()
    servers: list[ServerDefinition] = []
    inputs: list[InputDefinition] = []
    for name, server in holder.mapping().items():
        with problems.noted():
            if (read := _server(_legal(name), server, prefix)) is None:
                continue
            if read.name in [other.name for other in servers]:
                raise server.error(f"is called {read.name!r} here, and so is another server")
            servers.append(read)
    with problems.noted():
        if "inputs" in entries:
            inputs = read_each(
                [item for item in entries["inputs"].items() if not _is_command(item, text)], _input(prefix)
            )
    problems.raise_first()
    places = {f"{prefix}{value.key}": (value.line, value.column) for value in root.walk()}
    return Imported(tuple(servers), tuple(inputs), places)


def _legal(name: str) -> str:
    """A server's name with what ours can't have replaced: `My Server` is `My-Server`."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:64].strip("-") or "server"


def _server(name: str, server: Value, prefix: str) -> ServerDefinition | None:
    """The server; None for one that is switched off."""
    entries = {key: value for key, value in server.mapping().items() if value.data is not None}
    if "disabled" in entries and entries["disabled"].flag():
        return None
    if "env" in entries and isinstance(entries["env"].data, dict):
        given = {key: value for key, value in entries["env"].data.items() if value.data is not None}
        # VS Code's null takes a variable away: ours has none
        entries["env"] = msgspec.structs.replace(entries["env"], data=given)
    address = next((key for key in _ADDRESSES if key in entries), None)
    if address is not None:
        entries["url"] = entries[address]
    type = _type(entries, server)
    needed = "command" if type == "stdio" else "url"
    if needed not in entries:
        raise server.missing(needed, f"a server of type {type} needs one")
    problems = Problems()
    params: dict[str, Any] = {}
    for key in PARAMS[type]:
        if key.name in entries and key.name in _TAKEN:
            with problems.noted():
                params[key.name] = _translated(key.shape.read(entries[key.name]))
    problems.raise_first()
    return ServerDefinition(name, type, params, key=f"{prefix}{server.key}")


def _type(entries: Mapping[str, Value], server: Value) -> ServerType:
    stated = entries.get("type")
    if stated is None:
        return server_type(entries, server)
    if (type := _TYPES.get(stated.text())) is None:
        raise stated.error(f"must be stdio, http or sse, but is {stated.shown}")
    return type


def _translated(value: Any) -> Any:
    """Texts with Claude's `${NAME}` and `${NAME:-default}` in our words, and VS Code's `${userHome}` as what it is."""
    if isinstance(value, str):
        return _CLAUDE.sub(_placeholder, value.replace("${userHome}", str(Path.home())))
    if isinstance(value, tuple):
        return tuple(_translated(item) for item in value)
    return {key: _translated(item) for key, item in value.items()} if isinstance(value, dict) else value


def _placeholder(found: re.Match[str]) -> str:
    return found[0] if found[1] in _OURS and not found[2] else f"${{env:{found[1]}{found[2] or ''}}}"


# ---- VS Code's inputs


def _is_command(item: Value, text: str) -> bool:
    """An input that VS Code gets from a command of its own; where a server uses it, that is an error."""
    entries = item.data if isinstance(item.data, dict) else {}
    type, id = entries.get("type"), entries.get("id")
    if type is None or type.data != "command":
        return False
    if id is not None and f"${{input:{id.written}}}" in text:
        INPUT.read(item)  # says why it can't be
    return True


def _input(prefix: str) -> Callable[[Value], InputDefinition]:
    known = {key.name for key in INPUT.keys}

    def read(item: Value) -> InputDefinition:
        entries = {name: value for name, value in item.mapping().items() if name in known and value.data is not None}
        # An empty default is VS Code's way to show an empty box; it means nothing.
        if "default" in entries and entries["default"].data == "":
            del entries["default"]
        found = read_input(msgspec.structs.replace(item, data=entries))
        return replace(found, key=f"{prefix}{item.key}")

    return read


def unreadable(definition: AgentDefinition, number: int, file: str, error: ConfigError) -> ConfigError:
    """The error of an import whose file can't be had."""
    return definition.error(f"import[{number}]", f"{file!r} {error.problem}")
