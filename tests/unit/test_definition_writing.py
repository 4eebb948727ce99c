"""`tiny-agents convert`: the same meaning in the other form, or a word about what it can't say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_definition_fixtures import DATA, ENV, MEANINGS
from tests.unit.test_definition_yaml import WHOLE
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.definition.writing import as_json, as_yaml
from tiny_agents.cli import main

UNSAYABLE = {"no-other-placeholders"}  # a dollar before ${input:...}


def meaning(definition: AgentDefinition) -> dict[str, Any]:
    resolved = resolve_inputs(definition, env=ENV, warn=lambda text: None)
    kept = ("model", "provider", "endpoint_url", "api_key", "description")
    servers = [
        {key: value for key, value in server.as_kwargs().items() if key != "name"} for server in resolved.servers
    ]
    return {"servers": servers, "limits": resolved.limits(), **{name: getattr(resolved, name) for name in kept}}


@pytest.mark.parametrize("name", sorted(MEANINGS.keys() - UNSAYABLE))
def test_every_agent_json_becomes_an_agent_yaml_of_the_same_meaning(name: str) -> None:
    definition = load_definition(DATA / "json" / f"{name}.json")
    text, _ = as_yaml(definition)

    assert meaning(parse_definition(text)) == meaning(definition)


@pytest.mark.parametrize("name", sorted(MEANINGS.keys() - UNSAYABLE))
def test_and_back_again(name: str) -> None:
    definition = load_definition(DATA / "json" / f"{name}.json")
    text, notes = as_json(parse_definition(as_yaml(definition)[0]))

    assert notes == []
    assert meaning(parse_definition(text, format="json")) == meaning(definition)


def test_what_agent_yaml_says_otherwise_is_told() -> None:
    _, notes = as_yaml(load_definition(DATA / "json" / "no-other-placeholders.json"))
    assert "servers[0].env.C: a dollar before ${input:...} makes it a literal text in agent.yaml" in notes

    _, notes = as_yaml(load_definition(DATA / "json" / "legacy-stdio.json"))
    assert notes[0].startswith("the input 'hf-token' also took its value from a variable named like the one it sets")
    assert (
        notes[1] == "inputs are written with `required: false`, as agent.json goes on without; take it away to be asked"
    )


def test_what_agent_json_can_not_say_is_told() -> None:
    text, notes = as_json(parse_definition(WHOLE))

    content = json.loads(text)
    assert (content["name"], content["model"], content["apiKey"]) == ("scout", "Qwen/Qwen3-32B", "${input:hf-token}")
    assert [server["type"] for server in content["servers"]] == ["stdio", "http", "sse"]
    assert content["inputs"][0] == {
        "id": "hf-token",
        "description": "HF token",
        "type": "promptString",
        "password": True,
    }
    assert sorted(notes) == [
        "inputs[1].default: agent.json has no such thing",
        "prompt: agent.json has none; put it into PROMPT.md beside it",
        "requires: agent.json has no such key",
        "servers.files.args[2]: agent.json doesn't fill in ${workspaceFolder} here",
        "servers.hub.protocol: agent.json has no such key",
        "servers.hub.startup_timeout: agent.json has no such key",
        "servers.hub.tool_timeout: agent.json has no such key",
        "servers.hub.tools: agent.json has no such key",
        "tool_emulation: agent.json has no such key",
        "x-note: agent.json has no such key",
    ]


def test_exact_names_of_tools_can_be_said() -> None:
    text, notes = as_json(parse_definition("servers: {a: {command: x, tools: {allow: [b, c]}, cwd: '$${x}'}}"))

    assert json.loads(text)["servers"] == [
        {"type": "stdio", "command": "x", "cwd": "${x}", "allowed_tools": ["b", "c"]}
    ]
    assert notes == []


def test_the_command_prints_the_other_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "agent.json").write_text(
        '{"model": "m", "servers": [{"type": "stdio", "command": "srv", "args": ["1"]}]}'
    )

    assert main(["convert", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.endswith("model: m\nservers:\n  srv:\n    type: stdio\n    command: srv\n    args:\n    - '1'\n")

    (tmp_path / "agent.yaml").write_text(out + "max_turns: 3\nrequires: luck\n")
    assert main(["convert", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["max_turns"] == 3
    assert shown.err == "warning: requires: agent.json has no such key\n"
