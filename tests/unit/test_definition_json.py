"""agent.json: every form that is found in the wild keeps the meaning it has there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError


def read(content: Any) -> AgentDefinition:
    text = content if isinstance(content, str) else json.dumps(content)
    return parse_definition(text, path="my-agent/agent.json", format="json")


def kwargs(content: Any) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in server.as_kwargs().items() if key != "name"} for server in read(content).servers
    ]


# (what the file says, what the server is): the key `name` is left out, it is our own invention
SERVERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "stdio",
        {"type": "stdio", "command": "npx", "args": ["@playwright/mcp@latest"]},
        {"type": "stdio", "command": "npx", "args": ["@playwright/mcp@latest"]},
    ),
    (
        "stdio, all keys",
        {
            "type": "stdio",
            "command": "uvx",
            "args": ["mcp-server-git", "--repository", "."],
            "env": {"TOKEN": "${input:token}"},
            "cwd": "/srv",
            "allowed_tools": ["git_log"],
        },
        {
            "type": "stdio",
            "command": "uvx",
            "args": ["mcp-server-git", "--repository", "."],
            "env": {"TOKEN": "${input:token}"},
            "cwd": "/srv",
            "allowed_tools": ["git_log"],
        },
    ),
    (
        "http",
        {"type": "http", "url": "https://huggingface.co/mcp", "headers": {"Authorization": "Bearer ${input:t}"}},
        {"type": "http", "url": "https://huggingface.co/mcp", "headers": {"Authorization": "Bearer ${input:t}"}},
    ),
    (
        "http, keys that only the Python runtime passes on",
        {"type": "http", "url": "https://x.org/mcp", "timeout": 5, "sse_read_timeout": 9, "terminate_on_close": False},
        {
            "type": "http",
            "url": "https://x.org/mcp",
            "timeout": 5.0,
            "sse_read_timeout": 9.0,
            "terminate_on_close": False,
        },
    ),
    (
        "sse",
        {"type": "sse", "url": "https://evalstate-flux1-schnell.hf.space/gradio_api/mcp/sse"},
        {"type": "sse", "url": "https://evalstate-flux1-schnell.hf.space/gradio_api/mcp/sse"},
    ),
    (
        "mcp-remote as a bridge",
        {"type": "stdio", "command": "npx", "args": ["mcp-remote", "http://localhost:7860/gradio_api/mcp/sse"]},
        {"type": "stdio", "command": "npx", "args": ["mcp-remote", "http://localhost:7860/gradio_api/mcp/sse"]},
    ),
    (
        "absolute Windows paths",
        {
            "type": "stdio",
            "command": "C:\\Program Files\\nodejs\\npx.cmd",
            "args": ["mcp-remote", "C:/Users/me/x"],
            "cwd": "C:\\Users\\me",
        },
        {
            "type": "stdio",
            "command": "C:\\Program Files\\nodejs\\npx.cmd",
            "args": ["mcp-remote", "C:/Users/me/x"],
            "cwd": "C:\\Users\\me",
        },
    ),
    (
        "nested form, stdio",
        {"type": "stdio", "config": {"command": "npx", "args": ["x"], "env": {"A": "b"}, "cwd": "/srv"}},
        {"type": "stdio", "command": "npx", "args": ["x"], "env": {"A": "b"}, "cwd": "/srv"},
    ),
    (
        "nested form, http",
        {
            "type": "http",
            "config": {
                "url": "https://x.org/mcp",
                "options": {"requestInit": {"headers": {"Authorization": "Bearer ${input:t}"}}, "sessionId": "1"},
            },
        },
        {"type": "http", "url": "https://x.org/mcp", "headers": {"Authorization": "Bearer ${input:t}"}},
    ),
    (
        "nested form, sse without options",
        {"type": "sse", "config": {"url": "https://x.org/sse"}},
        {"type": "sse", "url": "https://x.org/sse"},
    ),
    ("no type, a command", {"command": "npx", "args": ["x"]}, {"type": "stdio", "command": "npx", "args": ["x"]}),
    ("no type, /sse", {"url": "https://x.org/a/sse"}, {"type": "sse", "url": "https://x.org/a/sse"}),
    ("no type, /sse/?query", {"url": "https://x.org/sse/?a=1"}, {"type": "sse", "url": "https://x.org/sse/?a=1"}),
    ("no type, /mcp", {"url": "https://x.org/mcp"}, {"type": "http", "url": "https://x.org/mcp"}),
    ("no type, any other end", {"url": "https://x.org/sse-not"}, {"type": "http", "url": "https://x.org/sse-not"}),
    (
        "unknown keys, and keys of another type",
        {"type": "stdio", "command": "x", "disabled": True, "url": "nonsense", "timeout": 60, "note": [1]},
        {"type": "stdio", "command": "x"},
    ),
    (
        "null and blank count as absent",
        {"type": "stdio", "command": "x", "args": None, "env": None, "cwd": "", "allowed_tools": None},
        {"type": "stdio", "command": "x"},
    ),
    (
        "numbers and booleans where text belongs",
        {"type": "stdio", "command": "x", "args": [8080, True], "env": {"PORT": 1.50}},
        {"type": "stdio", "command": "x", "args": ["8080", "true"], "env": {"PORT": "1.5"}},
    ),
]


@pytest.mark.parametrize(("server", "meaning"), [case[1:] for case in SERVERS], ids=[case[0] for case in SERVERS])
def test_a_server_keeps_its_meaning(server: dict[str, Any], meaning: dict[str, Any]) -> None:
    assert kwargs({"model": "m", "servers": [server]}) == [meaning]


MODELS: list[tuple[dict[str, Any], tuple[str | None, str | None, str | None, str | None]]] = [
    (
        {"model": "Qwen/Qwen2.5-72B-Instruct", "provider": "nebius"},
        ("Qwen/Qwen2.5-72B-Instruct", "nebius", None, None),
    ),
    ({"model": "Qwen/Qwen3-32B"}, ("Qwen/Qwen3-32B", None, None, None)),
    ({"model": "m", "endpointUrl": "http://localhost:1234/v1"}, ("m", None, "http://localhost:1234/v1", None)),
    (
        {"endpointUrl": "http://localhost:11434/v1/chat/completions"},
        (None, None, "http://localhost:11434/v1/chat/completions", None),
    ),
    (
        {"endpointUrl": "http://localhost:8000/api/", "provider": "x", "model": "m"},
        ("m", "x", "http://localhost:8000/api/", None),
    ),
    ({"model": "m", "provider": "auto", "apiKey": "${input:k}"}, ("m", "auto", None, "${input:k}")),
    ({"model": " ", "provider": None, "endpointUrl": "", "apiKey": ""}, (None, None, None, None)),
    ({}, (None, None, None, None)),
]


@pytest.mark.parametrize(("content", "meaning"), MODELS)
def test_the_model_and_where_it_runs(content: dict[str, Any], meaning: tuple[str | None, ...]) -> None:
    definition = read(content)

    assert (definition.model, definition.provider, definition.endpoint_url, definition.api_key) == meaning


def test_inputs_are_read_and_what_no_runtime_uses_is_ignored() -> None:
    definition = read(
        {
            "inputs": [
                {"id": "hf-token", "description": "A token", "type": "promptString", "password": True},
                {"id": "b", "type": "pickString", "options": ["x"], "default": "unused"},
                {"id": "hf-token", "description": "again"},
            ]
        }
    )

    token, other = definition.inputs
    assert (token.id, token.description, token.password, token.variable) == ("hf-token", "A token", True, "HF_TOKEN")
    assert (other.id, other.default, other.password) == ("b", None, False)


def test_unknown_keys_are_ignored_everywhere() -> None:
    definition = read(
        {"model": "m", "modle": 1, "params": {"temperature": 0}, "mcpServers": {}, "prompt": "./x.md", "$schema": "x"}
    )

    assert (definition.model, definition.prompt, definition.prompt_file) == ("m", None, None)
    assert not definition.strict


def test_limits_and_names_that_older_runtimes_never_knew_are_used_where_they_make_sense() -> None:
    definition = read({"name": "n", "description": "d", "timeout": 30, "tool_timeout": "soon", "max_turns": -1})

    assert (definition.name, definition.description) == ("n", "d")
    assert definition.limits() == {"timeout": 30.0}
    assert read({}).name == "my-agent"


def test_the_nested_form_is_remembered_for_its_inputs() -> None:
    nested, flat = read(
        {"servers": [{"type": "stdio", "config": {"command": "x"}}, {"type": "stdio", "command": "y"}]}
    ).servers

    assert (nested.legacy, flat.legacy) == (True, False)


def test_tabs_a_byte_order_mark_and_repeated_keys_are_no_problem() -> None:
    definition = read('\ufeff{\n\t"model": "a",\n\t"model": "b",\n\t"servers": [\n\t\t{ "command" : "x" }\n\t]\n}\n')

    assert definition.model == "b", "the last one counts, as in every JSON parser"
    assert definition.places["servers[0].command"] == (5, 5)


BAD: list[tuple[Any, str]] = [
    ("", ":1:1: not valid JSON: Expecting value (the file is empty)"),
    ('{"model": "m",\n}', "not valid JSON: "),
    (
        '{\n// a comment\n"model": "m"}',
        ":2:1: not valid JSON: Expecting property name enclosed in double quotes (JSON has",
    ),
    ("{'model': 'm'}", ":1:2: not valid JSON: Expecting property name enclosed in double quotes"),
    ('{"model": "m"} trailing', ":1:16: not valid JSON: Extra data"),
    ("[" * 50_000, "lists and objects are nested more than 32 levels deep"),
    ("9" * 5_000, "not valid JSON: a number in it has too many digits"),
    ("[" + "1," * 20_000 + "1]", "[19999]: the document holds more than 20,000 values"),
    ("[]", ":1:1: a definition is a mapping of keys such as model and servers; this is a list"),
    ('"text"', ":1:1: a definition is a mapping"),
    ({"model": ["a"]}, ":1:2: model: must be text, but is a list"),
    ({"apiKey": 1}, "apiKey: must be text, but is a number"),
    ({"endpointUrl": "localhost"}, "endpointUrl: must be an address such as https://host/path, but is 'localhost'"),
    ({"servers": {"a": {}}}, "servers: must be a list, but is a mapping"),
    ({"servers": ["npx"]}, "servers[0]: must be a mapping of keys to values, but is text"),
    ({"servers": [{}]}, "servers[0]: needs `command` (a program to start) or `url` (a remote server)"),
    ({"servers": [{"type": "stdio"}]}, "servers[0].command: missing; a stdio server needs one"),
    ({"servers": [{"type": "stdio", "command": ""}]}, "servers[0].command: missing; a stdio server needs one"),
    ({"servers": [{"type": "sse", "config": {}}]}, "servers[0].url: missing; an sse server needs one"),
    (
        {"servers": [{"type": "websocket", "url": "x"}]},
        "servers[0].type: must be stdio, http or sse, but is 'websocket'",
    ),
    (
        {"servers": [{"type": "http", "url": "x.org/mcp"}]},
        "servers[0].url: must be an address such as https://host/path",
    ),
    (
        {"servers": [{"command": "x", "args": "y"}]},
        'servers[0].args: must be a list such as ["-y", "some-package"], but',
    ),
    ({"servers": [{"command": ["x"]}]}, "servers[0].command: must be text, but is a list"),
    ({"servers": [{"command": "x", "env": {"A": ["b"]}}]}, "servers[0].env.A: must be text, but is a list"),
    (
        {"servers": [{"type": "stdio", "config": {"command": 3}}]},
        "servers[0].config.command: must be text, but is a number",
    ),
    (
        {"servers": [{"type": "stdio", "config": "x"}]},
        "servers[0].config: must be a mapping of keys to values, but is text",
    ),
    ({"inputs": [{"description": "d"}]}, "inputs[0].id: missing; it is the name in ${input:...}"),
    ({"model": "a\0"}, "model: contains a NUL character, which no program accepts"),
    ('{"model": "\\ud800"}', r"model: contains half of a character (a lone surrogate such as \ud800)"),
]


@pytest.mark.parametrize(("content", "message"), BAD, ids=[str(message)[:50] for _, message in BAD])
def test_what_can_not_work_is_said_with_file_line_and_key(content: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(content)

    assert message in str(caught.value)
    assert str(caught.value).startswith("my-agent/agent.json")


def test_an_error_in_json_names_line_and_column() -> None:
    with pytest.raises(ConfigError) as caught:
        read('{\n\t"model": "m",\n\t"servers": [\n\t\t{"type": "http",\n\t\t "url": "nowhere"}\n\t]\n}')

    assert (caught.value.line, caught.value.column, caught.value.key) == (5, 4, "servers[0].url")
