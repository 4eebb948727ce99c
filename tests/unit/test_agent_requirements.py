"""What a definition needs on this machine, and what it will do here."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.requirements import commands_and_hosts, missing_requirements
from tiny_agents.agent.definition.types import AgentDefinition


def stdio(command: str, *args: str, **params: Any) -> AgentDefinition:
    definition = parse_definition("servers: {tool: {command: x}}")
    server = replace(definition.servers[0], params={"command": command, "args": args, **params})
    return replace(definition, servers=(server,))


def nothing(command: str, **_: Any) -> None:
    """A machine without any programs."""


MISSING = [
    (stdio("npx", "-y", "x"), "'npx', which is not on the PATH; it comes with Node.js, see https://nodejs.org"),
    (stdio("uvx", "x"), "'uvx', which is not on the PATH; it comes with uv, see https://docs.astral.sh/uv"),
    (stdio("docker", "run", "x"), "'docker', which is not on the PATH; see https://docs.docker.com"),
    (
        stdio("python", "x.py"),
        "'python', which is not on the PATH; in agent.yaml, ${python} is the interpreter that runs",
    ),
    (stdio("my-server"), "'my-server', which is not on the PATH; install it, or give its full path"),
    (stdio("./server"), "'./server', which is no program that can be run"),
    (stdio("C:\\Tools\\server.exe"), "which is no program that can be run"),
    (stdio("/opt/server", cwd="/srv"), "'/opt/server', which is no program that can be run"),
    (
        stdio("${python}", "-m", "mcp_server_time"),
        "mcp_server_time, which is not installed: pip install 'tiny-agents[demo]'",
    ),
    (stdio(sys.executable, "-m", "my_tools.server"), "module my_tools, which is not installed: pip install my-tools"),
]


@pytest.mark.parametrize(("definition", "message"), MISSING, ids=[message[:40] for _, message in MISSING])
def test_what_is_missing_is_named_with_where_to_get_it(definition: AgentDefinition, message: str) -> None:
    (problem,) = missing_requirements(definition, which=nothing, find_module=lambda name: None)

    assert problem.startswith("the server 'tool' ")
    assert message in problem


@pytest.mark.parametrize(
    "definition",
    [
        stdio("${env:TOOL}"),
        stdio("${python}", "server.py"),
        stdio("./server", cwd="/srv"),
        stdio("${python}", "-m", "${env:MODULE}"),
        parse_definition("servers: {hub: {url: 'https://x.org/mcp'}}"),
    ],
)
def test_what_can_not_be_known_beforehand_is_no_problem(definition: AgentDefinition) -> None:
    assert missing_requirements(definition, which=nothing, find_module=lambda name: None) == []


def test_a_whole_command_line_in_command_is_recognised() -> None:
    (problem,) = missing_requirements(
        stdio("npx -y x"), which=lambda command, path=None: "/usr/bin/npx" if command == "npx" else None
    )

    assert problem.endswith("`command` is the program alone, 'npx': what follows belongs into `args`")


def test_the_servers_own_path_is_searched() -> None:
    searched: list[str | None] = []

    def which(command: str, path: str | None = None) -> str:
        searched.append(path)
        return "found"

    assert missing_requirements(stdio("tool", env={"PATH": "/opt/bin"}), which=which) == []
    assert missing_requirements(stdio("tool"), which=which) == []
    assert searched == ["/opt/bin", None]


def test_the_clock_is_complete_here_resolved_or_not() -> None:
    definition = load_definition("clock")

    assert missing_requirements(definition) == []
    assert missing_requirements(resolve_inputs(definition, env={})) == []


def test_everything_a_definition_does_is_shown_in_full() -> None:
    definition = parse_definition(
        "endpointUrl: https://models.example.org/v1\n"
        "apiKey: ${env:MODEL_KEY}\n"
        "inputs: [{id: hub-token, password: true}, {id: unused}]\n"
        "servers:\n"
        f"  a: {{command: npx, args: [-y, a b, {'x' * 300}], env: {{LD_PRELOAD: /x.so}}, cwd: '${{agentDir}}'}}\n"
        "  b: {url: 'https://x.org/mcp?k=${env:AWS_KEY:-}', headers: {Authorization: 'Bearer ${input:hub-token}'}}\n"
    )

    assert commands_and_hosts(definition) == [
        f"runs the command: cd '${{agentDir}}' && LD_PRELOAD=/x.so npx -y 'a b' {'x' * 300}",
        "connects to: https://x.org/mcp?k=${env:AWS_KEY:-} (with the headers Authorization)",
        "sends the conversation to: https://models.example.org/v1",
        "reads from the environment, if set: AWS_KEY, HUB_TOKEN, MODEL_KEY",
    ]


def test_an_address_as_model_is_a_host_too() -> None:
    assert commands_and_hosts(parse_definition("model: http://x.org/v1")) == [
        "sends the conversation to: http://x.org/v1"
    ]
    assert commands_and_hosts(parse_definition("model: m")) == []


def test_nothing_hides_from_the_reader_and_nothing_speaks_to_the_terminal() -> None:
    (line,) = commands_and_hosts(stdio("x", "\x1b[2Jharmless\u202e\u200b\n", "caf\u00e9"))

    assert line == r"runs the command: x '\x1b[2Jharmless\u202e\u200b\n' " + "'caf\u00e9'"


def test_keys_are_masked_even_where_the_inputs_are_resolved() -> None:
    definition = parse_definition(
        "inputs: [{id: pw, password: true}]\nservers: {a: {command: x, args: ['${input:pw}']}}"
    )

    (line,) = commands_and_hosts(resolve_inputs(definition, env={"PW": "very-secret"}))

    assert line == "runs the command: x ***"


def test_the_nested_forms_variables_are_shown() -> None:
    definition = parse_definition(
        '{"inputs": [{"id": "t", "description": "T"}],'
        ' "servers": [{"type": "stdio", "config": {"command": "x", "env": {"OLD": "${input:t}"}}}]}',
        format="json",
    )

    assert commands_and_hosts(definition)[-1] == "reads from the environment, if set: OLD, T"


def test_models_at_addresses_that_are_asked_later_are_shown_too() -> None:
    later = ("https://one.example/v1", "org/other", "https://two.example/v1")
    definition = replace(parse_definition("model: org/model"), fallback_models=later)

    assert commands_and_hosts(definition) == [
        "sends the conversation to: https://one.example/v1",
        "sends the conversation to: https://two.example/v1",
    ]


def test_literal_keys_of_ones_own_definition_are_masked_and_nothing_of_a_downloaded_one() -> None:
    text = (
        "endpointUrl: https://me:planted@models.example/v1?api_key=planted\n"
        "servers:\n"
        "  a: {command: npx, args: [--token, planted-1], env: {MY_KEY: planted-2, RUN: 'curl x', B_KEY: '${env:B}'}}\n"
        "  b: {url: 'https://u:planted-3@h/mcp?key=${env:K}&token=planted-4'}\n"
    )
    own = parse_definition(text)
    assert commands_and_hosts(own) == [
        "runs the command: MY_KEY=*** RUN='curl x' B_KEY='${env:B}' npx --token ***",
        "connects to: https://***@h/mcp?key=${env:K}&token=***",
        "sends the conversation to: https://***@models.example/v1?api_key=***",
        "reads from the environment, if set: B, K",
    ]
    shown = commands_and_hosts(replace(own, downloaded=True))
    assert shown[0] == "runs the command: MY_KEY=planted-2 RUN='curl x' B_KEY='${env:B}' npx --token planted-1"
    assert "planted-4" in shown[1]
