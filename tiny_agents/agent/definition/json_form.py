"""agent.json, as leniently as the runtimes it was made for: what isn't known is ignored, what is empty counts as absent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.agent.definition.part_keys import PARAMS, SERVERS
from tiny_agents.agent.definition.readings import url
from tiny_agents.agent.definition.server_form import derived_name, server_type
from tiny_agents.agent.definition.types import InputDefinition, ServerDefinition
from tiny_agents.errors import ConfigError

Readings = Mapping[str, Callable[[Value], Any]]


def from_json(root: Value) -> dict[str, Any]:
    """The attributes of the definition that `root` is. Raises ConfigError where no runtime could use it."""
    entries = _present(root)
    found = {_FIELDS.get(name, name): read(entries[name]) for name, read in _KEYS.items() if name in entries}
    for name, read in _NEWER.items():
        if name in entries:
            try:
                found[name] = read(entries[name])
            except ConfigError:
                continue  # ignored, like every key that agent.json doesn't have
    return found | {"strict": False}


def ignored(root: Value) -> list[ConfigError]:
    """The keys that mean nothing in an agent.json, and what they may have been meant for."""
    parts = [(root, {*_KEYS, *_NEWER, "$schema"})]
    for server in _items(root, "servers"):
        known = {key.name for keys in PARAMS.values() for key in keys if key.name not in _LATER_KEYS}
        parts.append((server, {*known, "type", "allowed_tools", "config"}))
    parts += [(item, {"id", "description", "type", "password"}) for item in _items(root, "inputs")]
    return [
        value.error(f"means nothing in agent.json{did_you_mean(name, known)}")
        for mapping, known in parts
        for name, value in mapping.mapping().items()
        if name not in known
    ]


def _items(root: Value, name: str) -> list[Value]:
    entry = root.mapping().get(name)
    items = entry.data if entry is not None and isinstance(entry.data, list) else []
    return [item for item in items if isinstance(item.data, dict)]


def _present(mapping: Value) -> dict[str, Value]:
    """The entries that say something: those that are null or blank don't."""
    return {
        name: value
        for name, value in mapping.mapping().items()
        if value.data is not None and not (isinstance(value.data, str) and not value.data.strip())
    }


def _inputs(value: Value) -> tuple[InputDefinition, ...]:
    inputs: dict[str, InputDefinition] = {}
    for item in value.items():
        entries = _present(item)
        if "id" not in entries:
            raise item.missing("id", "it is the name in ${input:...}")
        id = entries["id"].text()
        description = entries["description"].text_as_written() if "description" in entries else ""
        password = bool(entries["password"].data) if "password" in entries else False
        inputs.setdefault(id, InputDefinition(id, description, password=password, key=item.key))
    return tuple(inputs.values())


def _servers(value: Value) -> tuple[ServerDefinition, ...]:
    servers: list[ServerDefinition] = []
    for item in value.items():
        servers.append(_server(item, [server.name for server in servers]))
    return tuple(servers)


def _server(server: Value, taken: Iterable[str]) -> ServerDefinition:
    entries = _present(server)
    legacy = "config" in entries
    if legacy:
        entries = {**entries, **_flattened(entries["config"])}
    type = server_type(entries, server)
    for needed, why in SERVERS[type].needed.items():
        if needed not in entries:
            raise server.missing(needed, why)
    known = [key for key in PARAMS[type] if key.name in entries and key.name not in _LATER_KEYS]
    params = {key.name: key.shape.read(entries[key.name]) for key in known}
    allowed = entries["allowed_tools"].texts() if "allowed_tools" in entries else None
    return ServerDefinition(derived_name(type, params, taken), type, params, allowed, server.key, legacy)


def _flattened(config: Value) -> dict[str, Value]:
    """The nested form's settings under today's names: headers stood in `options.requestInit.headers`."""
    entries = _present(config)
    nested: Value | None = config
    for name in ("options", "requestInit", "headers"):
        nested = nested.data.get(name) if nested is not None and isinstance(nested.data, dict) else None
    if nested is not None and nested.data is not None:
        entries["headers"] = nested
    return entries


_LATER_KEYS = ("envFile", "auth")  # agent.json's runtimes never knew them
_FIELDS = {"endpointUrl": "endpoint_url", "apiKey": "api_key"}
_KEYS: Readings = {
    "model": Value.text,
    "provider": Value.text,
    "endpointUrl": url,
    "apiKey": Value.text,
    "inputs": _inputs,
    "servers": _servers,
}
_NEWER: Readings = {
    # Unknown to the runtimes that agent.json was made for, so they can't be wrong there: used where they make sense.
    "name": Value.text,
    "description": Value.text,
    "timeout": Value.seconds,
    "startup_timeout": Value.seconds,
    "tool_timeout": Value.seconds,
    "max_turns": Value.count,
}
