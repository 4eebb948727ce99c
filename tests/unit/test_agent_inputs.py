"""What fills the placeholders of a definition, and what happens where nothing does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition
from tiny_agents.errors import ConfigError


def yaml(text: str, path: str = "/agents/scout/agent.yaml") -> AgentDefinition:
    return parse_definition(text, path=path, format="yaml")


def from_json(content: dict[str, Any]) -> AgentDefinition:
    return parse_definition(json.dumps(content), path="scout/agent.json", format="json")


class Person:
    """Answers, and remembers what it was asked and told."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.told: list[str] = []

    def ask(self, item: InputDefinition) -> str:
        self.asked.append(item.id)
        return self.answers.get(item.id, "")

    def warn(self, text: str) -> None:
        self.told.append(text)


ONE_INPUT = "inputs: [{id: my-token, description: The token}]\nservers: {a: {command: x, args: ['${input:my-token}']}}"


def first_arg(definition: AgentDefinition) -> str:
    return str(definition.servers[0].params["args"][0])


def test_placeholders_are_filled_in_everywhere(tmp_path: Path) -> None:
    definition = yaml(
        "model: ${env:M}\n"
        "provider: ${env:P:-auto}\n"
        "endpointUrl: http://${env:H:-localhost}:1234/v1\n"
        "apiKey: ${input:key}\n"
        "prompt: Work in ${workspaceFolder} for ${input:who}.\n"
        "inputs: [{id: key, password: true}, {id: who, default: everyone}]\n"
        "servers:\n"
        "  a: {command: '${python}', args: [-m, '${agentDir}/server.py', 'a ${input:who} b ${input:who}'],\n"
        "      cwd: '${agentDir}', env: {TOKEN: 'x${input:key}', NONE: '${env:NOT_SET:-}'}}\n"
        "  b: {url: 'https://${input:who}.example.org/mcp', headers: {Authorization: 'Bearer ${input:key}'}}\n"
    )
    person = Person()

    resolved = resolve_inputs(
        definition, env={"KEY": "sk-1", "M": "m"}, ask=person.ask, warn=person.warn, workspace=tmp_path
    )

    assert (resolved.model, resolved.provider) == ("m", "auto")
    assert (resolved.endpoint_url, resolved.api_key) == ("http://localhost:1234/v1", "sk-1")
    assert resolved.prompt == f"Work in {tmp_path} for everyone."
    a, b = resolved.servers
    assert a.params == {
        "command": sys.executable,
        "args": ("-m", "/agents/scout/server.py", "a everyone b everyone"),
        "cwd": "/agents/scout",
        "env": {"TOKEN": "xsk-1", "NONE": ""},
    }
    assert b.params == {"url": "https://everyone.example.org/mcp", "headers": {"Authorization": "Bearer sk-1"}}
    assert person.asked == ["who"], "what the environment knows is not asked for"
    assert person.told == []


@pytest.mark.parametrize(
    ("values", "env", "answer", "default", "expected"),
    [
        ({"my-token": "flag"}, {"MY_TOKEN": "env"}, "typed", "default", "flag"),
        ({}, {"MY_TOKEN": "env"}, "typed", "default", "env"),
        ({"my-token": " "}, {"MY_TOKEN": " "}, "typed", "default", "typed"),
        ({}, {}, " ", "default", "default"),
        ({}, {}, "", "", ""),
        ({}, {"MY_TOKEN": " from a file\n"}, "", None, "from a file"),
    ],
)
def test_a_value_comes_from_the_first_that_has_one(
    values: Mapping[str, str], env: Mapping[str, str], answer: str, default: str | None, expected: str
) -> None:
    text = ONE_INPUT.replace("The token", f'The token, default: "{default}"' if default is not None else "The token")
    resolved = resolve_inputs(yaml(text), values=values, env=env, ask=lambda item: answer)

    assert first_arg(resolved) == expected


def test_an_input_may_name_its_variable() -> None:
    text = ONE_INPUT.replace("The token", "The token, env: OTHER")

    assert first_arg(resolve_inputs(yaml(text), env={"OTHER": "o", "MY_TOKEN": "m"})) == "o"


def test_without_placeholders_nothing_changes() -> None:
    text = "model: m\nprompt: Cost in $ {x} and $x\nservers: {a: {command: x, args: [$HOME, '$(ls)', '{}']}}"

    assert resolve_inputs(yaml(text), env={}) == yaml(text)


def test_a_doubled_dollar_is_a_literal_one() -> None:
    resolved = resolve_inputs(
        yaml("prompt: 'a $${input:x}'\nservers: {a: {command: x, args: ['$${HOME} $$']}}"), env={}
    )

    assert first_arg(resolved) == "${HOME} $$"
    assert resolved.prompt == "a ${input:x}"


def test_a_prompt_may_speak_of_other_dollars_and_a_prompt_file_is_taken_as_it_is() -> None:
    inline = yaml("prompt: In bash, ${HOME} is your home; ${workspaceFolder} is here.")
    resolved = resolve_inputs(inline, env={}, workspace=Path("/w"))
    assert resolved.prompt == "In bash, ${HOME} is your home; /w is here."

    from_file = replace(inline, prompt="${env:NOT_SET} ${input:none}", prompt_file="PROMPT.md")
    assert resolve_inputs(from_file, env={}).prompt == "${env:NOT_SET} ${input:none}"


WRONG = [
    (
        "servers:\n  a:\n    command: x\n    env:\n      T: ${env:NOT_SET}",
        "agent.yaml:5:7: servers.a.env.T: the environment variable NOT_SET is not set: set it, or write "
        "${env:NOT_SET:-DEFAULT} to do without",
    ),
    (
        "inputs: [{id: token}]\nservers: {a: {url: 'http://x/${input:tokne}'}}",
        "agent.yaml:2:15: servers.a.url: ${input:tokne} names no input of the definition (did you mean 'token'?)",
    ),
    (
        "apiKey: ${input:key}",
        "agent.yaml:1:1: apiKey: ${input:key} names no input of the definition: add one with `id: key` to `inputs`",
    ),
    (
        "servers: {a: {command: x, args: [a, '${HOME}/x']}}",
        "servers.a.args[1]: ${HOME} is no placeholder (did you mean ${env:HOME}?); $${...} is a literal ${...}",
    ),
    (
        "servers: {a: {command: x, args: ['${agentdir}']}}",
        "servers.a.args[0]: ${agentdir} is no placeholder (did you mean 'agentDir'?)",
    ),
    (
        "servers: {a: {command: x, args: ['${env:A-B}']}}",
        "${env:A-B} is no placeholder; there are ${input:ID}, ${env:NAME}, ${env:NAME:-DEFAULT}, ${agentDir}, "
        "${workspaceFolder} and ${python}; $${...} is a literal ${...}",
    ),
    ("prompt: Hello ${input:}", "prompt: ${input:} is no placeholder"),
    (
        "servers: {a: {command: x, args: ['${env:N:-${agentDir}/n}']}}",
        "servers.a.args[0]: ${env:N:-${agentDir...} has a placeholder in a placeholder, which is not filled in",
    ),
    (
        "servers: {a: {url: '${env:URL}'}}",
        "servers.a.url: must be an address such as https://host/path (once the placeholders are filled in)",
    ),
    (
        "endpointUrl: ${env:URL}",
        "endpointUrl: must be an address such as https://host/path (once the placeholders are filled in)",
    ),
    (
        "servers: {a: {url: 'http://x', headers: {A: '${env:TWO_LINES}'}}}",
        "servers.a.headers.A: the value of a header can't contain a line break (once the placeholders are filled in)",
    ),
    ("servers: {a: {command: '${env:EMPTY}'}}", "servers.a.command: is empty (once the placeholders are filled in)"),
    ("servers: {a: {command: x, args: ['${env:NUL}']}}", "servers.a.args[0]: contains a NUL character"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:50] for _, message in WRONG])
def test_what_can_not_be_filled_in_is_an_error_that_names_line_and_key(text: str, message: str) -> None:
    env = {"URL": "sk-this-is-a-key", "TWO_LINES": "top\nsecret", "EMPTY": "", "NUL": "\0"}
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(yaml(text), env=env)

    assert message in str(caught.value)
    assert str(caught.value).startswith("/agents/scout/agent.yaml:")
    assert "secret" not in str(caught.value)
    assert "sk-this" not in str(caught.value)


def test_an_input_without_a_value_says_how_to_give_one() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(yaml(ONE_INPUT), env={})

    assert str(caught.value) == (
        "/agents/scout/agent.yaml:2:34: servers.a.args[0]: the input 'my-token' (The token) has no value: set the "
        "environment variable MY_TOKEN, or pass --input my-token=VALUE"
    )


def test_all_inputs_without_a_value_are_named_at_once() -> None:
    text = "inputs: [{id: a}, {id: b, env: BEE}]\nservers: {s: {command: x, args: ['${input:a}', '${input:b}']}}"
    with pytest.raises(ConfigError, match=r"the input 'a' has no value: .* also without a value: 'b' \(BEE\)"):
        resolve_inputs(yaml(text), env={})


def test_nobody_is_asked_before_it_is_known_that_the_rest_is_right() -> None:
    person = Person(a="typed")
    text = "inputs: [{id: a}]\nservers: {s: {command: x, args: ['${input:a}', '${env:NOT_SET}']}}"
    with pytest.raises(ConfigError, match="NOT_SET is not set"):
        resolve_inputs(yaml(text), env={}, ask=person.ask)

    assert person.asked == []


@pytest.mark.parametrize("make", [yaml, lambda text: from_json({"inputs": [{"id": "spare"}]})])
def test_inputs_that_nothing_uses_are_not_asked_for(make: Callable[[str], AgentDefinition]) -> None:
    person = Person()
    resolve_inputs(make("inputs: [{id: spare}]"), env={}, ask=person.ask, warn=person.warn)

    assert person.asked == []
    assert [text.split(": ", 1)[1] for text in person.told] == [
        "nothing uses the input 'spare'; it is not asked for",
    ]


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("my-tokn", "the definition doesn't have (did you mean 'my-token'?)"),
        ("xyz", "the definition doesn't have; it has my-token"),
    ],
)
def test_a_value_for_an_unknown_input_is_an_error(id: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(yaml(ONE_INPUT), values={id: "secret", "my-token": "t"}, env={})

    assert message in str(caught.value)
    assert "secret" not in str(caught.value)


def test_secrets_are_collected_and_not_shown() -> None:
    definition = yaml(
        "apiKey: ${env:A_KEY}\n"
        "inputs: [{id: pw, password: true}, {id: region}]\n"
        "servers:\n"
        "  a: {command: x, args: ['--password=${input:pw}', '${input:region}'],\n"
        "      env: {GITHUB_TOKEN: literal-token, MODE: production-mode, AUTH_TOKEN: none}}\n"
        "  b: {url: 'http://x', headers: {Authorization: 'Bearer ${env:B_TOKEN}', X-Trace: '${env:TRACE}'}}\n"
    )
    env = {"A_KEY": "key-of-a", "PW": "pw-of-b", "REGION": "eu-west", "B_TOKEN": "token-of-b", "TRACE": "trace-me"}

    resolved = resolve_inputs(definition, env=env)

    assert resolved.secrets == {"key-of-a", "pw-of-b", "token-of-b", "literal-token"}
    assert not any(secret in repr(resolved) for secret in resolved.secrets)


# ---- agent.json


def server(**params: Any) -> dict[str, Any]:
    return {"type": "stdio", "command": "x", **params}


def test_json_inputs_go_to_env_headers_and_the_key_and_nowhere_else() -> None:
    everywhere = "a ${input:t} b ${input:t}"
    definition = from_json(
        {
            "model": "${input:t}",
            "apiKey": "${input:t}",
            "endpointUrl": "http://x/${input:t}",
            "inputs": [{"id": "t", "description": "T", "password": True}],
            "servers": [
                server(command=everywhere, args=[everywhere], cwd=everywhere, env={"T": everywhere}),
                {"type": "http", "url": "http://x/${input:t}", "headers": {"T": everywhere}},
            ],
        }
    )

    resolved = resolve_inputs(definition, env={"T": "value"})

    stdio, http = resolved.servers
    assert stdio.params == {
        "command": everywhere,
        "args": (everywhere,),
        "cwd": everywhere,
        "env": {"T": "a value b value"},
    }
    assert http.params == {"url": "http://x/${input:t}", "headers": {"T": "a value b value"}}
    assert (resolved.api_key, resolved.model, resolved.endpoint_url) == ("value", "${input:t}", "http://x/${input:t}")
    assert "value" in resolved.secrets


def test_json_expands_no_variables() -> None:
    env = {"A": "${env:HOME}", "B": "${HOME}", "C": "$${x}", "D": "${agentDir}"}

    assert resolve_inputs(from_json({"servers": [server(env=env)]}), env={}).servers[0].params["env"] == env


def test_a_missing_json_input_is_an_empty_text_and_a_warning() -> None:
    person = Person()
    definition = from_json(
        {"inputs": [{"id": "t", "description": "T"}], "servers": [server(env={"A": "Bearer ${input:t}"})]}
    )

    resolved = resolve_inputs(definition, env={}, ask=person.ask, warn=person.warn)

    assert resolved.servers[0].params["env"] == {"A": "Bearer "}
    assert person.asked == ["t"]
    assert person.told == ["scout/agent.json: servers[0].env.A: the input 't' has no value; an empty text is used"]


def test_an_undeclared_json_input_stays_as_it_is_with_a_warning() -> None:
    person = Person()
    definition = from_json({"servers": [server(env={"A": "${input:t}"})]})

    resolved = resolve_inputs(definition, env={"T": "t"}, ask=person.ask, warn=person.warn)

    assert resolved.servers[0].params["env"] == {"A": "${input:t}"}
    assert person.told == [
        "scout/agent.json: ${input:t} names no input of the definition; it is left as it stands",
    ]


def legacy(env: dict[str, str]) -> dict[str, Any]:
    return {"type": "stdio", "config": {"command": "x", "env": env}}


def test_the_nested_form_also_looks_for_a_variable_named_like_the_one_it_sets() -> None:
    person = Person()
    definition = from_json(
        {
            "inputs": [{"id": "t", "description": "T"}],
            "servers": [
                legacy({"HF_TOKEN": "${input:t}"}),
                {
                    "type": "http",
                    "config": {"url": "http://x", "options": {"requestInit": {"headers": {"X_KEY": "k ${input:t}"}}}},
                },
            ],
        }
    )

    resolved = resolve_inputs(definition, env={"HF_TOKEN": "hf", "X_KEY": "x"}, ask=person.ask, warn=person.warn)

    assert resolved.servers[0].params["env"] == {"HF_TOKEN": "hf"}
    assert resolved.servers[1].params["headers"] == {"X_KEY": "k x"}
    assert (person.asked, person.told) == ([], [])
    assert resolve_inputs(definition, env={"HF_TOKEN": "hf", "T": "t"}).servers[0].params["env"] == {"HF_TOKEN": "t"}


def test_the_flat_form_does_not_look_for_that_variable() -> None:
    definition = from_json(
        {"inputs": [{"id": "t", "description": "T"}], "servers": [server(env={"HF_TOKEN": "${input:t}"})]}
    )

    assert resolve_inputs(definition, env={"HF_TOKEN": "hf"}).servers[0].params["env"] == {"HF_TOKEN": ""}


def test_a_filled_in_value_that_can_not_be_used_is_an_error_in_json_too() -> None:
    definition = from_json({"inputs": [{"id": "t", "description": "T"}], "servers": [legacy({"a[b": "${input:t}"})]})
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(definition, env={"T": "\0"})

    assert caught.value.key == 'servers[0].env["a[b"]'
    assert caught.value.line == 1
    assert "contains a NUL character" in str(caught.value)


def test_folders_that_are_not_there_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    text = "servers: {a: {command: x, roots: [., nope]}}\ntools: {tasks: [translation], folders: [gone]}"
    resolve_inputs(yaml(text, str(tmp_path / "agent.yaml")), env={}, warn=said.append)
    assert sorted(said) == [
        f"{tmp_path}/agent.yaml:1:38: servers.a.roots[1]: there is no folder {tmp_path}/nope",
        f"{tmp_path}/agent.yaml:2:41: tools.folders[0]: there is no folder {tmp_path}/gone",
    ]
