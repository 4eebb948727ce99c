"""agent.yaml: what it may say, and the message for everything it may not."""

from __future__ import annotations

import json
import string
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.requirements import commands_and_hosts, missing_requirements
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError

FORMATS: tuple[Literal["yaml", "json"], ...] = ("yaml", "json")

WHOLE = """\
# yaml-language-server: $schema=./agent.schema.json
name: scout
description: Looks things up.
model: Qwen/Qwen3-32B
provider: auto
apiKey: ${input:hf-token}
prompt: |
  You look things up.
inputs:
  - {id: hf-token, description: HF token, type: promptString, password: true, env: HF_TOKEN}
  - {id: region, default: eu}
servers:
  files:
    command: npx
    args: [-y, "@modelcontextprotocol/server-filesystem", "${workspaceFolder}"]
    env: {DEBUG: true, PORT: 8080, VERSION: 1.10}
    cwd: /srv
    allowed_tools: [read_file]
  hub:
    url: https://huggingface.co/mcp
    headers: {Authorization: "Bearer ${input:hf-token}"}
    timeout: 20
    sse_read_timeout: 60.5
    terminate_on_close: false
    tools: {allow: ["*_search"], deny: [delete_*]}
    startup_timeout: 20
    tool_timeout: 240
    protocol: 2026-07-28
  old: {url: https://example.org/sse}
timeout: 30
startup_timeout: 5.5
tool_timeout: 60
max_turns: 7
tool_emulation: true
requires: [Node.js, a token]
x-note: mine
"""


def outcome(text: str, format: Literal["yaml", "json"]) -> AgentDefinition | ConfigError:
    """What comes of a text, from reading it to filling it in."""
    try:
        definition = parse_definition(text, path="agent.yaml", format=format)
        assert all(line.isprintable() for line in commands_and_hosts(definition))
        assert all(missing_requirements(definition, find_module=lambda name: None))
        return resolve_inputs(definition, env={"A": "a"}, warn=lambda text: None)
    except ConfigError as error:
        return error


def read(text: str) -> AgentDefinition:
    return parse_definition(text, path="agents/agent.yaml", format="yaml")


def test_every_key_arrives_with_its_meaning() -> None:
    definition = read(WHOLE)

    assert (definition.name, definition.description) == ("scout", "Looks things up.")
    assert (definition.model, definition.provider, definition.endpoint_url) == ("Qwen/Qwen3-32B", "auto", None)
    assert definition.api_key == "${input:hf-token}"
    assert definition.prompt == "You look things up.\n"
    token, region = definition.inputs
    assert (token.id, token.description, token.password, token.variable) == ("hf-token", "HF token", True, "HF_TOKEN")
    assert (region.default, region.variable, region.password) == ("eu", "REGION", False)
    assert definition.limits() == {"timeout": 30.0, "startup_timeout": 5.5, "tool_timeout": 60.0, "max_turns": 7}
    assert definition.tool_emulation
    assert definition.requires == ("Node.js", "a token")
    assert definition.strict
    assert not definition.downloaded


def test_servers_become_arguments_for_add_mcp_server() -> None:
    files, hub, old = (server.as_kwargs() for server in read(WHOLE).servers)

    assert files == {
        "type": "stdio",
        "name": "files",
        "command": "npx",
        "args": ["-y", "@modelcontextprotocol/server-filesystem", "${workspaceFolder}"],
        "env": {"DEBUG": "true", "PORT": "8080", "VERSION": "1.10"},
        "cwd": "/srv",
        "allowed_tools": ["read_file"],
    }
    assert hub == {
        "type": "http",
        "name": "hub",
        "url": "https://huggingface.co/mcp",
        "headers": {"Authorization": "Bearer ${input:hf-token}"},
        "timeout": 20.0,
        "sse_read_timeout": 60.5,
        "terminate_on_close": False,
        "tools": {"allow": ["*_search"], "deny": ["delete_*"]},
        "startup_timeout": 20.0,
        "tool_timeout": 240.0,
        "protocol": "2026-07-28",
    }
    assert old == {"type": "sse", "name": "old", "url": "https://example.org/sse"}


def test_what_a_server_is_to_the_agent_is_read() -> None:
    (server,) = read("servers: {a: {command: x, required: true, restart: 0, prefix: always}}").servers

    assert server.required
    assert server.as_kwargs() == {"type": "stdio", "name": "a", "command": "x", "restart": 0, "prefix": "always"}


def test_servers_may_be_a_list_and_get_names_of_their_own() -> None:
    definition = read(
        "servers:\n"
        "  - {command: npx, args: [-y, '@modelcontextprotocol/server-filesystem@1.2', .]}\n"
        "  - {name: filesystem, command: npx, args: ['@playwright/mcp@latest']}\n"
        "  - {url: 'http://localhost:7860/gradio_api/mcp/sse'}\n"
        "  - {command: uvx, args: [mcp-server-git]}\n"
        "  - {url: 'https://${env:HOST}/mcp'}\n"
    )

    names = [server.name for server in definition.servers]
    assert names[1] == "filesystem", "a given name stays"
    assert len(set(names)) == 5, "no two servers share one"
    assert [server.type for server in definition.servers] == ["stdio", "stdio", "sse", "stdio", "http"]


def test_a_definition_may_leave_out_everything() -> None:
    definition = parse_definition("x-nothing: true", path="some/where/agent.yaml")

    assert definition.name == "where", "named after its folder"
    assert definition.model is None
    assert definition.servers == ()
    assert definition.limits() == {}
    assert parse_definition("x-nothing: true", path="clock.yaml").name == "clock"


def test_an_agent_json_is_a_valid_agent_yaml_with_the_same_meaning() -> None:
    text = """{
        "model": "Qwen/Qwen2.5-72B-Instruct", "endpointUrl": "http://localhost:1234/v1", "provider": "nebius",
        "inputs": [{"id": "t", "description": "Token", "type": "promptString", "password": true}],
        "servers": [{"type": "stdio", "command": "npx", "args": ["@playwright/mcp@latest"], "env": {"T": "${input:t}"},
                     "allowed_tools": ["browser_click"]},
                    {"type": "http", "url": "https://example.org/mcp", "headers": {"Authorization": "${input:t}"}}]
    }"""
    as_yaml, as_json = parse_definition(text, format="yaml"), parse_definition(text, format="json")

    assert [server.as_kwargs() for server in as_yaml.servers] == [server.as_kwargs() for server in as_json.servers]
    assert as_yaml.inputs == as_json.inputs
    assert (as_yaml.model, as_yaml.provider, as_yaml.endpoint_url) == (as_json.model, "nebius", as_json.endpoint_url)


def test_words_that_yaml_once_took_for_something_else_are_text() -> None:
    definition = read("name: no\nmodel: 2026-11-20\nservers: {a: {command: on, args: [yes, 12:30, 010, 0x1F, 1_000]}}")

    assert (definition.name, definition.model) == ("no", "2026-11-20")
    assert definition.servers[0].params["args"] == ("yes", "12:30", "010", "0x1F", "1_000")


def test_aliases_repeat_a_value_under_its_own_key() -> None:
    definition = read("servers:\n  a: &a {command: one}\n  b: *a\n")

    assert [(server.name, server.key) for server in definition.servers] == [("a", "servers.a"), ("b", "servers.b")]
    assert definition.places["servers.b.command"] == (3, 3)


def test_a_byte_order_mark_and_windows_line_ends_are_accepted() -> None:
    assert read("\ufeffmodel: m\r\nservers:\r\n  a:\r\n    command: x\r\n").servers[0].params == {"command": "x"}


def test_emoji_escaped_as_json_does_it_are_whole_characters() -> None:
    assert read('description: "\\ud83d\\ude00"').description == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("prompt", "attribute", "expected"),
    [
        ("./PROMPT.md", "prompt_file", "./PROMPT.md"),
        ("./my prompts/one.txt", "prompt_file", "./my prompts/one.txt"),
        ("PROMPT.md", "prompt_file", "PROMPT.md"),
        ("../shared.md", "prompt_file", "../shared.md"),
        ("/etc/prompt.md", "prompt_file", "/etc/prompt.md"),
        ("'.\\PROMPT.md'", "prompt_file", ".\\PROMPT.md"),
        ("Summarise README.md", "prompt", "Summarise README.md"),
        ("You are helpful.", "prompt", "You are helpful."),
    ],
)
def test_a_prompt_is_a_path_or_a_text(prompt: str, attribute: str, expected: str) -> None:
    definition = read(f"prompt: {prompt}")

    assert getattr(definition, attribute) == expected
    assert [definition.prompt, definition.prompt_file].count(None) == 1


def test_reprs_show_no_keys() -> None:
    definition = read(
        "apiKey: sk-verysecret\nservers: {a: {url: 'http://x', headers: {Authorization: Bearer topsecret}}}"
    )

    assert "secret" not in repr(definition)


# Every way to get a definition wrong, and what is said about it.
BAD = [
    # the file
    ("", "agents/agent.yaml: is empty"),
    ("# nothing\n", "agents/agent.yaml: is empty"),
    ("just words", "agents/agent.yaml:1:1: a definition is a mapping of keys such as model and servers; this is text"),
    (
        "- model: x",
        "agents/agent.yaml:1:1: a definition is a mapping of keys such as model and servers; this is a list",
    ),
    ("model: a\n---\nmodel: b", ":3:1: holds a second document; keep one, without a '---' between two parts"),
    # YAML
    ("model: a: b", ":1:9: not valid YAML: mapping values are not allowed here (check the indentation; a text that"),
    ("servers:\n\ta: b", ":2:1: not valid YAML: found character '\\t' that cannot start any token (indent with spaces"),
    (
        "a: [1,\n  2",
        ":2:4: not valid YAML: expected ',' or ']', but got '<stream end>' while parsing a flow sequence that",
    ),
    ("model: 'a", ":1:10: not valid YAML: found unexpected end of stream while scanning a quoted scalar"),
    (
        "model: @a",
        ":1:8: not valid YAML: found character '@' that cannot start any token (a text that starts with @ needs",
    ),
    ("model: \x07", ":1: not valid YAML: the character U+0007 is not allowed"),
    ('model: "\\UFFFFFFFF"', "not valid YAML: a number in a directive or an escape is out of range"),
    ("model: a\nmodel: b", ":2:1: model: appears twice; the first is on line 1"),
    ("servers: {a: {command: x, command: y}}", ":1:27: servers.a.command: appears twice; the first is on line 1"),
    ("model: !!python/object/apply:os.system [x]", ":1:8: model: tags such as !!python/object/apply:os.system are not"),
    ("model: !!str x", ":1:8: model: tags such as !!str are not accepted; write the value without"),
    ("model: *a", ":1:8: model: *a names nothing that was marked with &a before"),
    ("x-a: &a [*a]", "x-a[0]: *a names nothing that was marked with &a before"),
    ("? [a]\n: b", ":1:3: a key must be plain text"),
    ("x: " + "[" * 40, "lists and mappings are nested more than 32 levels deep"),
    ("<<: {}", ':1:1: ["<<"]: merges another mapping into this one, which is not supported: write its keys here.'),
    (
        "x-a: &a {tokens: 3}\nlimits:\n  <<: *a",
        ':3:3: limits["<<"]: merges another mapping into this one, which is not',
    ),
    ("context: {max_tokens: lots}", "context.max_tokens: must be a whole number or auto, but is 'lots'"),
    ("context: {max_tokens: 0.5}", "context.max_tokens: must be a whole number or auto, but is 0.5"),
    ("context: {compact: never}", "context.compact: must be true or false, or one of auto, off, but is 'never'"),
    ("max_turns: 1.5", "max_turns: must be a whole number, but is 1.5"),
    (f"max_turns: {'9' * 30}", "max_turns: is too large a number"),
    ('pinning: "of\\nf"', "pinning: must be one of off, warn, strict, but is 'of\\nf' (did you mean 'off'?)"),
    ("tests: [{prompt: a, expect: {stop_reason: []}}]", "expect.stop_reason: is an empty list; name one"),
    # keys
    ("modle: x", "agents/agent.yaml:1:1: modle: unknown key (did you mean 'model'?)"),
    ("api_key: x", ":1:1: api_key: unknown key (did you mean 'apiKey'?)"),
    ("toolEmulation: true", "toolEmulation: unknown key (did you mean 'tool_emulation'?)"),
    ("zzz: 1", "zzz: unknown key; a definition has name, description, model, provider, endpointUrl, apiKey, prompt"),
    ("servers:\n  a:\n    command: x\n    arg: [y]", ":4:5: servers.a.arg: unknown key (did you mean 'args'?)"),
    ("servers:\n  a:\n    comand: x", ":3:5: servers.a.comand: unknown key (did you mean 'command'?)"),
    ("provider: grok", ":1:1: provider: there is no provider 'grok' (did you mean 'groq'?)"),
    ("inputs: [{id: a, secret: true}]", ":1:18: inputs[0].secret: unknown key; an input has id, description, type"),
    ("limits: {calls: 3}", ":1:10: limits.calls: unknown key"),
    ("limits: {model_call: 3}", ":1:10: limits.model_call: unknown key (did you mean 'model_calls'?)"),
    ("limits: {max_turns: 3}", "limits.max_turns: stands at the top of the file; here it is called model_calls"),
    ("limits: {model_calls: 0}", "limits.model_calls: must be at least 1, but is 0"),
    ("limits: {tool_calls: -1}", "limits.tool_calls: must be at least 0, but is -1"),
    ("limits: {tokens: many}", "limits.tokens: must be a whole number, but is 'many'"),
    ("limits: {cost_usd: 0}", "limits.cost_usd: must be above 0, but is 0"),
    ("limits: {cost_usd: -1}", "limits.cost_usd: must be"),
    ("limits: {seconds: 0}", "limits.seconds: must be a number of seconds above 0, but is 0"),
    ("limits: {repeat: 1}", "limits.repeat: must be at least 2, but is 1"),
    ("limits: {last_answer: maybe}", "limits.last_answer: must be"),
    ("output: {}", "output.schema: missing"),
    ("output: {shema: x.json}", "output.shema: unknown key (did you mean 'schema'?)"),
    ("output: {schema: {}, retries: -1}", "output.retries: must be at least 0, but is -1"),
    ("params: {temprature: 1}", "params.temprature: unknown key (did you mean 'temperature'?)"),
    ("params: {temperature: hot}", "params.temperature: must be a number"),
    ("params: {tools: []}", "params.tools: is decided elsewhere and can't be a parameter"),
    ("tests: ./tests.yaml", ":1:1: tests: must be a list, but is text"),
    ("tests: [{expect: {}}]", ":1:9: tests[0].prompt: missing; it is what the agent is asked"),
    ("tests: [{prompt: a, expct: {}}]", "tests[0].expct: unknown key (did you mean 'expect'?)"),
    ("tests: ['${agentDir}/a.yaml']", "tests[0]: placeholders are not filled in here"),
    ("tools: [a]", "tools: must be a mapping"),
    ("tools: {allow: [a]}", "tools.allow: chooses among the tools of a server: write `tools` there"),
    ("tools: {pyton: []}", "tools.pyton: unknown key (did you mean 'python'?)"),
    ("tools: {python: tools.py}", "tools.python: must be a list, but is text"),
    ("tools: {python: [tools.sh]}", "tools.python[0]: must be a Python file, such as ./tools.py, but is 'tools.sh'"),
    ("tools: {python: ['${agentDir}/a.py']}", "tools.python[0]: placeholders are not filled in here"),
    (
        "tools: {tasks: [text_to_imag]}",
        "tools.tasks[0]: there is no task 'text_to_imag' that can be a tool (did you mean",
    ),
    ("tools: {tasks: [text-to-image]}", "no task 'text-to-image' that can be a tool (did you mean 'text_to_image'?)"),
    ("tools: {tasks: [dance]}", "there is no task 'dance' that can be a tool; there are text_to_image, image_to_image"),
    ("tools: {tasks: [translation, translation]}", "tools.tasks[1]: 'translation' is named twice"),
    ("tools: {tasks: [{model: m}]}", "tools.tasks[0].task: missing; it says what the tool does"),
    ("tools: {tasks: [{task: translation, provider: grok}]}", "there is no provider 'grok' (did you mean 'groq'?)"),
    ("tools: {agents: [{name: a}]}", "tools.agents[0].agent: missing; it says which agent is meant"),
    ("tools: {agents: [{agent: a, name: two words}]}", "must consist of letters, digits, '-' and '_', at most 64"),
    ("tools: {agents: [[]]}", "tools.agents[0]: must be text"),
    ("skills: ./skills", "skills: must be a list, but is text"),
    ("model: []", "model: is an empty list; name a model"),
    ("model: [a, b, a]", "model[2]: 'a' is named twice"),
    ("model: [a, 1]", "model[1]: must be text"),
    (
        "servers: {a: {command: x, tools: {alow: []}}}",
        "servers.a.tools.alow: unknown key (did you mean 'allow'?)",
    ),
    ("servers: {a: {command: x, tools: [a]}}", "servers.a.tools: must be a mapping"),
    ("servers: {a: {command: x, tools: {allow: a}}}", "servers.a.tools.allow: must be a list, but is text"),
    (
        "servers: {a: {command: x, allowed_tools: [a], tools: {allow: [b]}}}",
        "servers.a.tools: `allow` and `allowed_tools` say the same thing; keep one",
    ),
    ("servers: {a: {command: x, restart: -1}}", "servers.a.restart: must be at least 0, but is -1"),
    ("servers: {a: {command: x, restart: yes}}", "servers.a.restart: must be a whole number, but is 'yes'"),
    ("servers: {a: {command: x, required: 1}}", "servers.a.required: must be true or false, but is 1"),
    ("servers: {a: {command: x, prefix: a.b}}", "servers.a.prefix: must be auto, always, or 1 to 32 letters, digits"),
    ("servers: {a: {command: x, prefix: 3}}", "servers.a.prefix: must be text, but is a number"),
    ("servers: {a: {command: x, startup: 3}}", "servers.a.startup: is called startup_timeout here"),
    ("servers: {a: {command: x, protocol: 2025-11-25}}", "servers.a.protocol: must be one of auto, legacy, 2026-07-28"),
    ("servers: {a: {command: x, tool_timeout: 0}}", "servers.a.tool_timeout: must be"),
    (
        "inputs: [{id: a, type: command}]",
        "inputs[0].type: command asks VS Code to run something, which only VS Code can: use promptString or pickString",
    ),
    (
        "inputs: [{id: a, type: picKstring}]",
        "type: must be one of promptString, pickString, but is 'picKstring' (did you mean 'pickString'?)",
    ),
    ("inputs: [{id: a, type: pickString}]", "inputs[0].options: missing; they are what can be picked"),
    ("inputs: [{id: a, options: [b]}]", "inputs[0].options: is for inputs of type pickString"),
    ("inputs: [{id: a, type: pickString, options: []}]", "inputs[0].options: is an empty list; name what can be"),
    ("inputs: [{id: a, type: pickString, options: [b, b]}]", "inputs[0].options[1]: 'b' is listed twice"),
    ("inputs: [{id: a, type: pickString, options: [{label: b}]}]", "inputs[0].options[0].value: missing; it is what"),
    ("inputs: [{id: a, type: pickString, options: ['${x}']}]", "options[0]: placeholders are not filled in here"),
    (
        "inputs: [{id: a, type: pickString, options: [b, c], default: d}]",
        "inputs[0].default: must be one of the options: b, c",
    ),
    (
        "inputs: [{id: a, default: b, required: true}]",
        "inputs[0].required: an input with a `default` always has a value; keep one of the two",
    ),
    ("inputs: [{id: a, store: file}]", "inputs[0].store: must be one of keyring, but is 'file'"),
    # values
    ("model: 3", "model: must be text, but is a number; put it in quotes if that is the text"),
    ("model: true", "model: must be text, but is true; put it in quotes if that is the text"),
    ("model:", "model: is empty; give it a value or remove the key"),
    ("prompt: ''", "prompt: is empty; give it a value or remove the key"),
    ('name: "a\\0"', "name: contains a NUL character, which no program accepts"),
    ('name: "\\ud800"', r"name: contains half of a character (a lone surrogate such as \ud800)"),
    ("timeout: 0", "timeout: must be a number of seconds above 0, but is 0"),
    ("tool_timeout: -1", "tool_timeout: must be a number of seconds above 0, but is -1"),
    ("startup_timeout: 1e999", "startup_timeout: must be a number of seconds above 0, but is 1e999"),
    ("timeout: 30s", "timeout: must be a number of seconds, but is '30s'"),
    ("timeout: true", "timeout: must be a number of seconds, but is true"),
    ("max_turns: 0", "max_turns: must be at least 1, but is 0"),
    ("max_turns: -3", "max_turns: must be at least 1, but is -3"),
    ("max_turns: 2.5", "max_turns: must be a whole number, but is 2.5"),
    ("tool_emulation: yes", "tool_emulation: must be true or false, but is 'yes'"),
    (
        "endpointUrl: localhost:1234",
        "endpointUrl: must be an address such as https://host/path, but is 'localhost:1234'",
    ),
    ("endpointUrl: http://", "endpointUrl: must be an address"),
    ("endpointUrl: http://x:99999999/", "endpointUrl: must be an address"),
    ("description: [a]", "description: must be text, but is a list"),
    # inputs
    ("inputs: {a: b}", "inputs: must be a list, but is a mapping"),
    ("inputs: [a]", "inputs[0]: must be a mapping of keys to values, but is text"),
    ("inputs: [{description: x}]", ":1:10: inputs[0].id: missing; it is the name in ${input:...}"),
    ("inputs: [{id: a b}]", "inputs[0].id: must consist of letters, digits, '-', '_' and '.', but is 'a b'"),
    ("inputs: [{id: a}, {id: a}]", "inputs[1]: the id 'a' is used twice"),
    ("inputs: [{id: a, password: 1}]", "inputs[0].password: must be true or false, but is 1"),
    ("inputs: [{id: a, env: A-B}]", "inputs[0].env: 'A-B' can't be the name of an environment variable"),
    ("inputs: [{id: a, default: '${env:B}'}]", "inputs[0].default: placeholders are not filled in here; write"),
    # servers
    ("servers: npx", "servers: must be a list of servers, or a mapping of names to servers, but is text"),
    ("servers:", "servers: is empty; give it a value or remove the key"),
    ("servers: [npx]", ":1:11: servers[0]: must be a mapping of keys to values, but is text"),
    ("servers: {a: {}}", "servers.a: needs `command` (a program to start) or `url` (a remote server)"),
    (
        "servers: {a: {command: x, url: y}}",
        "servers.a: has both `command` (a program to start) and `url` (a remote server)",
    ),
    ("servers: {a: {type: websocket, url: x}}", "servers.a.type: must be stdio, http or sse, but is 'websocket'"),
    ("servers: [{type: http}]", "servers[0].url: missing; an http server needs one"),
    ("servers: [{type: stdio, args: []}]", "servers[0].command: missing; a stdio server needs one"),
    ("servers: {a: {command: x, headers: {}}}", "servers.a.headers: is for http and sse servers; this one is stdio"),
    ("servers: {a: {url: 'http://x', env: {}}}", "servers.a.env: is for stdio servers; this one is http"),
    (
        "servers: {a: {command: x, args: -y}}",
        'servers.a.args: must be a list such as ["-y", "some-package"], but is text',
    ),
    ("servers: {a: {command: x, args: [~]}}", 'servers.a.args[0]: is empty; write "" for an empty text'),
    ("servers: {a: {command: x, args: [{a: b}]}}", "servers.a.args[0]: must be text, but is a mapping"),
    ("servers: {a: {command: x, env: [A=b]}}", "servers.a.env: must be a mapping of keys to values, but is a list"),
    ("servers: {a: {command: x, env: {'A=': b}}}", "'A=' can't be the name of an environment variable"),
    ("servers: {a: {url: ftp://x}}", "servers.a.url: must be an address such as https://host/path, but is 'ftp://x'"),
    ("servers: {a: {url: 'http://x', headers: {'A:': b}}}", "'A:' can't be the name of a header"),
    (
        'servers: {a: {url: "http://x", headers: {A: "b\\n"}}}',
        "headers.A: the value of a header can't contain a line break",
    ),
    (
        "servers: {a b: {command: x}}",
        "a server's name consists of 1 to 64 ASCII letters, digits, '-', '_' and '.'; this",
    ),
    ("servers: [{command: x, name: a}, {command: y, name: a}]", "servers[1]: the name 'a' is already that of another"),
    ("servers: {a: {command: x, name: b}}", "servers.a.name: the server already has a name, its key 'a'"),
    ("servers: {a: {command: x, allowed_tools: read}}", "servers.a.allowed_tools: must be a list, but is text"),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=[repr(text[:40]) for text, _ in BAD])
def test_what_is_wrong_is_said_with_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert message in str(caught.value)
    assert str(caught.value).startswith("agents/agent.yaml")


def test_an_error_carries_its_place() -> None:
    with pytest.raises(ConfigError) as caught:
        read("model: m\nservers:\n  - command: x\n  - type: http\n    url: nowhere\n")

    assert caught.value.path == "agents/agent.yaml"
    assert caught.value.key == "servers[1].url"
    assert (caught.value.line, caught.value.column) == (5, 5)


def test_aliases_that_multiply_are_stopped_early() -> None:
    rows = ["x0: &x0 [" + "a," * 9 + "a]"]
    rows += [f"x{n}: &x{n} [" + f"*x{n - 1}," * 9 + f"*x{n - 1}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="more than 20,000 values, repeated ones included"):
        read("\n".join(rows))


# Text made of what YAML and our own keys are made of reaches further than random characters do.
@pytest.mark.parametrize(
    "text",
    ["".join(f"k{n}: 1\n" for n in range(15_000)), "servers:\n" + "".join(f"  s{n}: 3\n" for n in range(15_000))],
)
def test_a_file_with_thousands_of_errors_is_given_up_early(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)

    assert len(caught.value.others) == 49


_FRAGMENTS = st.sampled_from(
    [
        *("model", "servers", "inputs", "prompt", "timeout", "command", "url", "args", "env", "id", "headers", "type"),
        *(
            ": ",
            ":",
            "- ",
            "\n",
            "\n  ",
            "\n    ",
            "[",
            "]",
            "{",
            "}",
            ", ",
            "'",
            '"',
            "|",
            ">",
            "&a ",
            "*a",
            "!!",
            "!",
            "%",
        ),
        *(
            "stdio",
            "http",
            "http://x",
            "null",
            "true",
            "1",
            "-1",
            ".inf",
            "1e400",
            "${input:a}",
            "${env:A}",
            "<<",
            "?",
            "#",
        ),
        *(
            "\\u",
            "\\ud800",
            "\\x00",
            "\0",
            "\ufeff",
            "\t",
            "\r",
            "---",
            "...",
            "%YAML 1.1\n",
            "=",
            "@",
            "`",
            "\x85",
            "\u2028",
        ),
    ]
)
_SERVER = st.fixed_dictionaries({"command": st.text()}, optional={"args": st.lists(st.text()), "cwd": st.text()})
_REMOTE = st.fixed_dictionaries({"url": st.text() | st.text().map("http://".__add__)})
_MAP = st.dictionaries(st.text(), st.text() | st.sampled_from(["${input:a}", "${env:A}", "$${x}"]), max_size=2)
_WHOLE = st.fixed_dictionaries(
    {"inputs": st.just([{"id": "a", "description": "A"}]), "apiKey": st.text()},
    optional={
        "prompt": st.text(),
        "servers": st.lists(
            st.builds(lambda server, env: {**server, "env": env}, _SERVER, _MAP)
            | st.builds(lambda server, headers: {**server, "headers": headers}, _REMOTE, _MAP)
            | st.builds(lambda server, env: {"type": "stdio", "config": {**server, "env": env}}, _SERVER, _MAP),
            max_size=3,
        ),
    },
).map(json.dumps)
_TEXT = st.one_of(_WHOLE, st.text(), st.text(alphabet=string.printable), st.lists(_FRAGMENTS, max_size=30).map("".join))


@given(_TEXT)
@example("._:")
@example("0b_: 1")
@example('"\\U55555555": 1')
@example("%YAML " + "1" * 5000 + ".1\n--- a")
@example("9" * 5000 + ": 1")
@example("timeout: " + "9" * 5000)
@example("[" * 2000)
@example("a: " * 500)
@example("- " * 2000)
@example("servers: {a: {url: 'http://[', command: x}}")
@example("servers: [{url: 'http://[::1'}]")
@example("servers: [{url: 'http://${x}:y/'}]")
def test_any_text_is_a_definition_or_a_config_error(text: str) -> None:
    for format in FORMATS:
        assert isinstance(outcome(text, format), (AgentDefinition, ConfigError))
