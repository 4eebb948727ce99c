"""Every kind of agent.json found in the wild, as a file, with the meaning it has there; and files that are broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.errors import ConfigError

DATA = Path(__file__).parents[1] / "data" / "definitions"
M = "Qwen/Qwen2.5-72B-Instruct"
FILES = {"type": "stdio", "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "."]}
ENV = {"HF_TOKEN": "hf", "KEY": "k", "GITHUB_PERSONAL_ACCESS_TOKEN": "gh", "HOME": "/home/me"}
PR_ARGS = ["run", "-i", "--rm", "-e", "GITHUB_PERSONAL_ACCESS_TOKEN", "-e"]
PR_ARGS += ["GITHUB_TOOLSETS=repos,issues,pull_requests", "ghcr.io/github/github-mcp-server"]

MEANINGS: dict[str, dict[str, Any]] = {
    "hub-web-browser": {
        "model": M,
        "provider": "nebius",
        "servers": [{"type": "stdio", "command": "npx", "args": ["@playwright/mcp@latest"]}],
    },
    "hub-flux-generator": {
        "model": M,
        "provider": "nebius",
        "servers": [{"type": "sse", "url": "https://evalstate-flux1-schnell.hf.space/gradio_api/mcp/sse"}],
    },
    "hub-local-coder": {
        "model": "Qwen/Qwen3-32B",
        "endpoint_url": "http://localhost:1234/v1",
        "servers": [FILES],
    },
    "hub-search": {
        "model": M,
        "provider": "nebius",
        "servers": [{"type": "http", "url": "https://huggingface.co/mcp", "headers": {"Authorization": "Bearer hf"}}],
        "inputs": [("hf-token", "Your Hugging Face Token", True)],
    },
    "hub-js-assistant": {
        "model": "Qwen/Qwen3-32B",
        "provider": "cerebras",
        "servers": [{"type": "http", "url": "https://huggingface.co/mcp"}, FILES],
    },
    "hub-pr-reviewer": {
        "model": M,
        "provider": "nebius",
        "servers": [
            {
                "type": "stdio",
                "command": "docker",
                "args": PR_ARGS,
                "env": {"GITHUB_PERSONAL_ACCESS_TOKEN": "gh"},
            }
        ],
        "inputs": [("github-personal-access-token", "Github Personal Access Token (read-only)", True)],
    },
    "python-all-server-keys": {
        "model": M,
        "provider": "auto",
        "servers": [
            {
                "type": "stdio",
                "command": "uvx",
                "args": ["mcp-server-git"],
                "env": {"A": "b"},
                "cwd": "/srv",
                "allowed_tools": ["git_log"],
            },
            {
                "type": "http",
                "url": "https://x.org/mcp",
                "headers": {"A": "b"},
                "allowed_tools": ["a", "b"],
                "timeout": 5.0,
                "sse_read_timeout": 9.0,
                "terminate_on_close": False,
            },
            {"type": "sse", "url": "https://x.org/sse", "timeout": 2.5, "sse_read_timeout": 60.0},
        ],
    },
    "js-unknown-keys": {"model": M, "provider": "hf-inference", "servers": [{"type": "stdio", "command": "x"}]},
    "legacy-stdio": {
        "model": M,
        "provider": "nebius",
        "servers": [
            {
                "type": "stdio",
                "command": "npx",
                "args": ["mcp-remote", "http://localhost:7860/gradio_api/mcp/sse"],
                "env": {"HF_TOKEN": "hf"},
                "cwd": "/srv",
            }
        ],
        "inputs": [("hf-token", "HF token", True)],
    },
    "legacy-remote": {
        "model": M,
        "provider": "nebius",
        "servers": [
            {"type": "http", "url": "https://x.org/mcp", "headers": {"Authorization": "Bearer k"}},
            {"type": "sse", "url": "https://x.org/sse"},
        ],
        "inputs": [("key", "Key", False)],
    },
    "bare-servers": {
        "model": M,
        "servers": [
            {"type": "stdio", "command": "npx", "args": ["a"]},
            {"type": "sse", "url": "https://x.org/a/sse"},
            {"type": "sse", "url": "https://x.org/sse/?key=1"},
            {"type": "http", "url": "https://x.org/mcp"},
            {"type": "http", "url": "https://x.org/elsewhere"},
        ],
    },
    "windows-paths": {
        "model": M,
        "provider": "nebius",
        "servers": [
            {
                "type": "stdio",
                "command": "C:\\Program Files\\nodejs\\npx.cmd",
                "args": ["mcp-remote", "C:/Users/me/notes"],
                "cwd": "C:\\Users\\me",
            }
        ],
    },
    "lemonade": {
        "model": "Jan-nano-GGUF",
        "endpoint_url": "http://localhost:8000/api/",
        "servers": [
            {
                "type": "stdio",
                "command": "C:\\Program Files\\nodejs\\npx.cmd",
                "args": ["-y", "@wonderwhy-er/desktop-commander"],
            }
        ],
    },
    "ollama": {"model": "qwen3", "endpoint_url": "http://localhost:11434/v1/chat/completions"},
    "endpoint-wins": {
        "model": "m",
        "provider": "nebius",
        "endpoint_url": "https://api.example.org/v1/",
        "api_key": "k",
        "inputs": [("key", "Key", True)],
    },
    "endpoint-without-model": {"endpoint_url": "http://localhost:8080/v1"},
    "nothing": {},
    "null-and-blank": {"model": M, "servers": [{"type": "stdio", "command": "x"}]},
    "input-nobody-gives": {
        "model": M,
        "servers": [{"type": "stdio", "command": "x", "env": {"T": "x-", "U": "${input:undeclared}"}}],
        "inputs": [("a-b", "A", False), ("unused", "U", False)],
        "warnings": [
            "nothing uses the input 'unused'",
            "${input:undeclared} names no input of the definition; it is left as it stands",
            "servers[0].env.T: the input 'a-b' has no value; an empty text is used",
        ],
    },
    "no-other-placeholders": {
        "model": M,
        "servers": [
            {
                "type": "stdio",
                "command": "${input:a}",
                "args": ["${input:a}", "${env:HOME}", "$HOME"],
                "cwd": "${input:a}",
                "env": {"A": "${HOME}", "B": "${env:HOME}", "C": "$"},
            }
        ],
        "inputs": [("a", "A", False)],
        "warnings": ["servers[0].env.C: the input 'a' has no value; an empty text is used"],
    },
    "numbers-as-text": {
        "model": M,
        "servers": [
            {
                "type": "stdio",
                "command": "x",
                "args": ["8080", "true", "1.5"],
                "env": {"PORT": "8080", "DEBUG": "false"},
            }
        ],
    },
    "names-and-limits-of-ours": {"name": "n", "model": M, "limits": {"timeout": 30.0, "startup_timeout": 5.0}},
    "byte-order-mark": {"model": "b"},
}


def test_every_fixture_has_a_meaning_here() -> None:
    assert {file.stem for file in (DATA / "json").iterdir()} == MEANINGS.keys()


@pytest.mark.parametrize("name", MEANINGS)
def test_an_agent_json_has_the_meaning_that_its_runtimes_gave_it(name: str) -> None:
    told: list[str] = []
    definition = load_definition(DATA / "json" / f"{name}.json")
    resolved = resolve_inputs(definition, env=ENV, warn=told.append)

    servers = [
        {key: value for key, value in server.as_kwargs().items() if key != "name"} for server in resolved.servers
    ]
    expected = {"name": name, "limits": {}, "servers": [], "inputs": [], "warnings": [], **MEANINGS[name]}
    warnings = expected.pop("warnings")
    assert {
        "name": resolved.name,
        "servers": servers,
        "inputs": [(item.id, item.description, item.password) for item in resolved.inputs],
        "limits": resolved.limits(),
        **{
            key: value
            for key in ("model", "provider", "endpoint_url", "api_key")
            if (value := getattr(resolved, key)) is not None
        },
    } == expected
    assert len(told) == len(warnings)
    assert all(warning in text for warning, text in zip(sorted(warnings), sorted(told, key=_after_path), strict=True))


def _after_path(text: str) -> str:
    return text.partition(".json: ")[2]


CONVERTIBLE = [name for name in MEANINGS if name.startswith(("hub-search", "hub-pr", "hub-web", "python", "windows"))]


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_one_without_unknown_keys_is_an_agent_yaml_with_the_same_meaning(name: str) -> None:
    text = (DATA / "json" / f"{name}.json").read_text(encoding="utf-8")
    lenient, strict = (parse_definition(text, format=format) for format in ("json", "yaml"))

    assert lenient.servers == strict.servers
    assert (lenient.model, lenient.provider, lenient.inputs) == (strict.model, strict.provider, strict.inputs)


BROKEN = {
    "unknown-type.json": "unknown-type.json:2:15: servers[0].type: must be stdio, http or sse, but is 'websocket'",
    "no-type-and-nothing-to-tell-it.json": ":2:3: servers[0]: needs `command` (a program to start) or `url` (a remote",
    "stdio-without-command.json": ":1:14: servers[0].command: missing; a stdio server needs one",
    "http-without-url.json": ":1:14: servers[0].url: missing; an http server needs one",
    "comma-at-the-end.json": "comma-at-the-end.json:",
    "comment.json": ":2:3: not valid JSON: Expecting property name enclosed in double quotes (JSON has no comments; ",
    "servers-as-a-mapping.json": ":1:16: servers: must be a list, but is a mapping",
    "model-as-a-list.json": ":1:2: model: must be text, but is a list",
    "cut-off.json": "cut-off.json:",
    "utf-16.json": "utf-16.json: is UTF-16 text; save it as UTF-8",
    "latin-1.json": "latin-1.json:2: is not UTF-8 text (byte 0xe9); save it as UTF-8",
    "utf-16.yaml": "utf-16.yaml: is UTF-16 text; save it as UTF-8",
    "latin-1.yaml": "latin-1.yaml:1: is not UTF-8 text (byte 0xe9); save it as UTF-8",
    "tabs.yaml": "tabs.yaml:2:1: not valid YAML: found character '\\t' that cannot start any token (indent with spaces",
    "python-tag.yaml": "python-tag.yaml:1:8: model: tags such as !!python/object/apply:os.system are not accepted; write",
    "python-name.yaml": "servers.a.command: tags such as !!python/name:os.system are not accepted; write the value without",
    "billion-laughs.yaml": "the document holds more than 20,000 values, repeated ones included",
    "endless-alias.yaml": "x-a.b: *a names nothing that was marked with &a before",
    "two-documents.yaml": "two-documents.yaml:3:1: holds a second document; keep one, without a '---' between two parts",
    "duplicate-keys.yaml": "duplicate-keys.yaml:3:1: model: appears twice; the first is on line 1",
}


def test_every_broken_file_has_its_message_here() -> None:
    assert {file.name for file in (DATA / "broken").iterdir()} == BROKEN.keys()


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_says_what_is_wrong_with_it(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_definition(DATA / "broken" / name)

    assert BROKEN[name] in str(caught.value)
    assert caught.value.path == str(DATA / "broken" / name)


@pytest.mark.parametrize("name", ["agent.yaml", "agent.json", "agent.md"])
def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(5_000_000_000)  # takes no space
    with pytest.raises(ConfigError, match="is larger than 1 MB, which no definition or prompt needs"):
        load_definition(tmp_path / name)
