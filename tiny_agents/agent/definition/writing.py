"""An agent.json as agent.yaml and the other way round, with the same meaning; what the other can't say is told. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from tiny_agents.agent.definition.inputs import JSON_FIELDS, PLACEHOLDER, Spot, change_texts, used_inputs
from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition, ServerDefinition

SCHEMA_LINE = "# `tiny-agents schema > agent.schema.json` makes the file that editors know the keys from\n"
SCHEMA_LINE += "# yaml-language-server: $schema=./agent.schema.json\n"

_LIMITS = ("timeout", "startup_timeout", "tool_timeout", "max_turns")
_JSON_PARAMS = ("command", "args", "env", "cwd", "url", "headers", "timeout", "sse_read_timeout", "terminate_on_close")
_IN_JSON = ("name", "description", "model", "provider", "endpointUrl", "apiKey", "inputs", "servers", *_LIMITS)
_GLOB = re.compile(r"[*?\[]")


def as_yaml(definition: AgentDefinition) -> tuple[str, list[str]]:
    """The text of an agent.yaml that means what this agent.json does, and what to know about it."""
    import yaml

    notes: list[str] = []
    declared = {item.id for item in definition.inputs}

    def change(spot: Spot, text: str) -> str:
        def literal(found: re.Match[str]) -> str:
            kind, _, id = found[2].partition(":")
            if spot.field not in JSON_FIELDS or kind != "input" or id not in declared:
                return f"${found[0]}"
            if found[1]:
                notes.append(f"{spot.key}: a dollar before ${{input:...}} makes it a literal text in agent.yaml")
            return found[0]

        return PLACEHOLDER.sub(literal, text)

    legacy = {id for id, spots in used_inputs(definition).items() if any(spot.legacy for spot in spots)}
    for id in sorted(legacy):
        notes.append(
            f"the input {id!r} also took its value from a variable named like the one it sets: name it with `env`, if needed"
        )
    definition = change_texts(definition, change)
    content = _head(definition)
    if definition.inputs:
        content["inputs"] = [_input(item) for item in definition.inputs]
        notes.append(
            "inputs are written with `required: false`, as agent.json goes on without; take it away to be asked"
        )
    servers = {re.sub(r"[^A-Za-z0-9_.-]", "-", server.name): _server(server) for server in definition.servers}
    if servers:
        content["servers"] = servers
    return SCHEMA_LINE + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120), notes


def as_json(definition: AgentDefinition) -> tuple[str, list[str]]:
    """The text of an agent.json that means what this agent.yaml does as far as it can, and what it can't say."""
    notes: list[str] = []
    declared = {item.id for item in definition.inputs}

    def change(spot: Spot, text: str) -> str:
        def said(found: re.Match[str]) -> str:
            fills = spot.field in JSON_FIELDS and found[2].startswith("input:")
            if not found[1] and not fills and spot.field != "prompt":
                notes.append(f"{spot.key}: agent.json doesn't fill in ${{{found[2]}}} here")
            if found[1] and fills and found[2].partition(":")[2] in declared:
                notes.append(f"{spot.key}: agent.json fills in ${{{found[2]}}}, which is a literal text here")
            return found[0][1:] if found[1] else found[0]

        return PLACEHOLDER.sub(said, text)

    changed = change_texts(definition, change)
    content = _head(changed)
    top = dict.fromkeys(re.split(r"[.\[]", place, maxsplit=1)[0] for place in definition.places if place)
    notes += [f"{key}: agent.json has no such key" for key in top if key not in (*_IN_JSON, "prompt", "import")]
    if definition.fallback_models:
        notes.append("model: agent.json names one; the others are left out")
    if definition.prompt is not None and definition.prompt_file is None:
        notes.append("prompt: agent.json has none; put it into PROMPT.md beside it")
    elif "prompt" in definition.places:
        notes.append(f"prompt: agent.json can't name a file; rename {definition.prompt_file} to PROMPT.md")
    if changed.inputs:
        content["inputs"] = [_json_input(item, notes) for item in changed.inputs]
    content["servers"] = [_json_server(server, notes) for server in changed.servers]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n", notes


def _head(definition: AgentDefinition) -> dict[str, Any]:
    """What both have in common, as far as it is there."""
    said = {
        "name": definition.name if "name" in definition.places else None,
        "description": definition.description,
        "model": definition.model,
        "provider": definition.provider,
        "endpointUrl": definition.endpoint_url,
        "apiKey": definition.api_key,
        **{name: _number(getattr(definition, name)) for name in _LIMITS},
    }
    return {name: value for name, value in said.items() if value is not None}


def _input(item: InputDefinition) -> dict[str, Any]:
    said = {
        "id": item.id,
        "description": item.description or None,
        "type": item.type,
        "password": item.password or None,
    }
    return {name: value for name, value in said.items() if value is not None} | {"required": False}


def _json_input(item: InputDefinition, notes: list[str]) -> dict[str, Any]:
    lost = {
        "type": item.type != "promptString",
        "default": item.default is not None,
        "env": item.env is not None and replace(item, env=None).variable != item.env,
        "store": item.store is not None,
    }
    notes += [f"{item.key}.{name}: agent.json has no such thing" for name, there in lost.items() if there]
    said = {"id": item.id, "description": item.description, "type": "promptString"}
    return said | ({"password": True} if item.password else {})


def _server(server: ServerDefinition) -> dict[str, Any]:
    said: dict[str, Any] = {"type": server.type, **_plain(server.params)}
    if server.allowed_tools is not None:
        said["allowed_tools"] = list(server.allowed_tools)
    return said


def _json_server(server: ServerDefinition, notes: list[str]) -> dict[str, Any]:
    said = _server(server)
    lost = [name for name in server.params if name not in _JSON_PARAMS]
    for name in lost:
        del said[name]
    tools = server.options.get("tools", {})
    if "allow" in tools and not any(_GLOB.search(name) for name in tools["allow"]):
        said["allowed_tools"] = list(tools["allow"])
        lost += ["tools.deny"] if "deny" in tools else []
    elif tools:
        lost.append("tools")
    lost += [name for name in server.options if name != "tools"]
    lost += ["approval"] if server.approval is not None else []
    notes += [f"{server.key}.{name}: agent.json has no such key" for name in _once(lost)]
    return said


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else _number(value)


def _number(value: Any) -> Any:
    """30 for 30.0, as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
