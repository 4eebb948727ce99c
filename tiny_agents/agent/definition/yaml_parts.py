"""Inputs and servers of an agent.yaml: what their keys have to do with one another."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value
from tiny_agents.agent.definition.part_keys import INPUT, OPTIONS, PARAMS, SERVERS
from tiny_agents.agent.definition.readings import read_each
from tiny_agents.agent.definition.server_form import derived_name, server_type
from tiny_agents.agent.definition.table import MINE, Problems, Shape
from tiny_agents.agent.definition.types import InputDefinition, ServerDefinition
from tiny_agents.mcp_client.connection.servers import ServerType

_NAME = r"[\w.-]{1,64}"


# ---- inputs


def _inputs(value: Value) -> tuple[InputDefinition, ...]:
    taken: set[str] = set()

    def read(item: Value) -> InputDefinition:
        found = read_input(item)
        if found.id in taken:
            raise item.error(f"the id {found.id!r} is used twice")
        taken.add(found.id)
        return found

    return tuple(read_each(value.items(), read))


def read_input(item: Value) -> InputDefinition:
    """One input. Raises ConfigError."""
    fields = INPUT.read(item)
    _check_input(item, fields)
    return InputDefinition(**fields, key=item.key)


def _check_input(item: Value, fields: Mapping[str, Any]) -> None:
    """What several keys of an input have to do with one another."""
    entries = item.mapping()
    picks = fields.get("type") == "pickString"
    if picks and "options" not in fields:
        raise item.missing("options", "they are what can be picked")
    if "options" in fields and not picks:
        raise entries["options"].error("is for inputs of type pickString")
    options = [option.value for option in fields.get("options", ())]
    if picks and fields.get("default", options[0]) not in options:
        raise entries["default"].error(f"must be one of the options: {', '.join(options)}")
    if "default" in fields and "required" in fields:
        raise entries["required"].error("an input with a `default` always has a value; keep one of the two")


# ---- servers


def _servers(value: Value) -> tuple[ServerDefinition, ...]:
    """A list of servers, or a mapping from names to servers."""
    given: list[tuple[Value, str | None]]
    named_by_key = isinstance(value.data, dict)
    if isinstance(value.data, dict):
        given = [(server, name) for name, server in value.data.items() if not name.startswith("x-")]
    elif isinstance(value.data, list):
        given = [(server, _given_name(server)) for server in value.data]
    else:
        raise value.error(f"must be a list of servers, or a mapping of names to servers, but is {value.kind}")
    taken: list[str] = []
    for server, name in given:
        if name in taken:
            raise server.error(f"the name {name!r} is already that of another server")
        taken += [name] if name is not None else []
    servers: list[ServerDefinition] = []
    problems = Problems()
    for server, name in given:
        with problems.noted():
            servers.append(_server(server, name, taken, named_by_key=named_by_key))
            taken.append(servers[-1].name)
    problems.raise_first()
    return tuple(servers)


def _given_name(server: Value) -> str | None:
    entry = server.data.get("name") if isinstance(server.data, dict) else None
    return entry.text() if entry is not None else None


def _server(server: Value, name: str | None, taken: Iterable[str], *, named_by_key: bool) -> ServerDefinition:
    """`name` is the server's own; one without gets a name that isn't among those `taken`."""
    entries = server.mapping()
    if named_by_key and "name" in entries:
        raise entries["name"].error(f"the server already has a name, its key {name!r}")
    if name is not None and not re.fullmatch(_NAME, name, flags=re.ASCII):
        problem = f"a server's name consists of 1 to 64 ASCII letters, digits, '-', '_' and '.'; this one is {name!r}"
        raise entries.get("name", server).error(problem)
    type = server_type(entries, server)
    _check_keys_of_other_types(type, entries)
    fields = SERVERS[type].read(server)
    params = {key.name: fields[key.name] for key in PARAMS[type] if key.name in fields}
    options = {key: fields[key] for key in OPTIONS if key in fields and key != "required"}
    if "allowed_tools" in fields and "allow" in options.get("tools", {}):
        raise entries["tools"].error("`allow` and `allowed_tools` say the same thing; keep one")
    name = name if name is not None else derived_name(type, params, taken)
    return ServerDefinition(
        name,
        type,
        params,
        fields.get("allowed_tools"),
        server.key,
        options=options,
        required=fields.get("required", False),
        approval=fields.get("approval"),
    )


def _check_keys_of_other_types(type: ServerType, entries: Mapping[str, Value]) -> None:
    for name, entry in entries.items():
        belongs = [other for other, keys in PARAMS.items() if name in {key.name for key in keys}]
        if belongs and type not in belongs:
            raise entry.error(f"is for {' and '.join(belongs)} servers; this one is {type}")


def _server_schema() -> dict[str, Any]:
    """A server of one of the types; without `type`, it has to fit one of them, which its `command` or `url` decides."""
    schemas: list[dict[str, Any]] = []
    for type, table in SERVERS.items():
        schema = table.schema()
        schema["properties"]["type"] = {**schema["properties"]["type"], "enum": [type]}
        schemas.append({"title": f"a server of type {type}", **schema})
    return {"anyOf": schemas}


_SERVERS_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "array", "items": {"$ref": "#/definitions/server"}},
        {
            "type": "object",
            "patternProperties": {MINE: {}, "^(?!x-)[A-Za-z0-9_.-]{1,64}$": {"$ref": "#/definitions/namedServer"}},
            "additionalProperties": False,
        },
    ]
}
_INPUTS_SCHEMA: dict[str, Any] = {"type": "array", "items": {"$ref": "#/definitions/input"}}

_INPUT_RULES: dict[str, Any] = {
    "if": {"properties": {"type": {"const": "pickString"}}, "required": ["type"]},
    "then": {"required": ["options"]},
    "else": {"not": {"required": ["options"]}},
    "not": {"required": ["default", "required"]},
}

INPUTS = Shape(_inputs, _INPUTS_SCHEMA)
SERVER_LIST = Shape(_servers, _SERVERS_SCHEMA)


def schema_parts() -> dict[str, Any]:
    """What the schema of a definition refers to as `#/definitions/...`."""
    server = _server_schema()
    return {
        "input": INPUT.schema() | _INPUT_RULES,
        "server": server,
        "namedServer": {"allOf": [{"$ref": "#/definitions/server"}, {"not": {"required": ["name"]}}]},
    }
