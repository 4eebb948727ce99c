"""The text of a new agent.yaml, with comments that say what else there is. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tiny_agents.agent.definition.inputs import PLACEHOLDER
from tiny_agents.agent.definition.types import ServerDefinition

PROMPT_FILE = "PROMPT.md"


@dataclass(frozen=True, slots=True)
class KnownServer:
    """A server that `init` offers by name: what it is for, and its entry in `servers`."""

    about: str
    entry: Mapping[str, Any]
    needs: str = ""
    slow_start: bool = False


KNOWN_SERVERS: Mapping[str, KnownServer] = {
    "files": KnownServer(
        "reads and writes files of the folder it is started in",
        {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "${workspaceFolder}"]},
        "Node.js (npx)",
        slow_start=True,
    ),
    "web": KnownServer(
        "fetches web pages as text", {"command": "uvx", "args": ["mcp-server-fetch"]}, "uv (uvx)", slow_start=True
    ),
    "browser": KnownServer(
        "opens pages in a browser, clicks, fills in forms",
        {"command": "npx", "args": ["-y", "@playwright/mcp@latest"]},
        "Node.js (npx), a browser",
        slow_start=True,
    ),
    "git": KnownServer(
        "works with the Git repository it is started in",
        {"command": "uvx", "args": ["mcp-server-git", "--repository", "${workspaceFolder}"]},
        "uv (uvx)",
        slow_start=True,
    ),
    "memory": KnownServer(
        "remembers facts from one conversation to the next",
        {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"]},
        "Node.js (npx)",
        slow_start=True,
    ),
    "time": KnownServer(
        "tells the time anywhere",
        {"command": "${python}", "args": ["-m", "mcp_server_time"]},
        "pip install 'tiny-agents[demo]'",
    ),
}


@dataclass(frozen=True, slots=True)
class NewAgent:
    """What is to be written.

    Attributes:
        purpose: What it is for, in a line; it becomes the description, and the prompt where there is none.
        prompt: The system prompt.
        servers: Entries of `servers` by name.
        prompt_file: The prompt goes into a file of its own.
    """

    name: str
    purpose: str = ""
    prompt: str = ""
    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    servers: Mapping[str, Mapping[str, Any]] | None = None
    prompt_file: bool = False

    @property
    def prompt_text(self) -> str:
        """The prompt, ending in a newline."""
        text = self.prompt.strip() or f"{self.purpose.rstrip('.') or 'You help with whatever is asked'}.".strip()
        return f"{text}\n"


def entry_of(server: ServerDefinition) -> dict[str, Any]:
    """The entry in `servers` of one that was named by its command or address."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in server.params.items()}


def agent_yaml(agent: NewAgent) -> str:
    """The text of its agent.yaml."""
    return "\n".join([*_head(agent), "", *_prompt(agent), "", *_servers(agent.servers or {}), "", *_more()]) + "\n"


def _head(agent: NewAgent) -> Iterator[str]:
    yield "# An agent for tiny-agents. `tiny-agents validate` says what is wrong with it, `tiny-agents show` what it would"
    yield "# do, `tiny-agents schema > agent.schema.json` makes what editors complete its keys from:"
    yield "# yaml-language-server: $schema=./agent.schema.json"
    yield ""
    yield f"name: {quoted(agent.name)}"
    if agent.purpose:
        yield f"description: {quoted(agent.purpose)}"
    yield ""
    yield "# Which model. Left out: TINY_AGENTS_MODEL and its kin, else Hugging Face, else the embedded model."
    yield f"model: {quoted(agent.model)}" if agent.model else "# model: Qwen/Qwen3-32B"
    if agent.provider:
        yield f"provider: {quoted(agent.provider)}"
    if agent.base_url:
        yield f"endpointUrl: {quoted(agent.base_url)}"
    elif not agent.provider:
        yield "# endpointUrl: http://localhost:11434/v1   # an OpenAI-compatible endpoint"
    if agent.base_url or not agent.provider:
        yield "# apiKey: ${env:MY_KEY}                    # its key: never write one into this file"


def _prompt(agent: NewAgent) -> Iterator[str]:
    yield "# What the model is told first."
    if agent.prompt_file:
        yield f"prompt: ./{PROMPT_FILE}"
        return
    text = literal(agent.prompt_text)
    if not all(char.isprintable() or char in "\n\t" for char in text):
        yield f"prompt: {json.dumps(text)}"  # a block can't hold all characters
        return
    yield "prompt: |"
    yield from (f"  {line}".rstrip() for line in text.split("\n")[:-1])


def _servers(servers: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "# MCP servers: the tools. `tiny-agents tools .` starts them and shows what they offer."
    known = [KNOWN_SERVERS[name] for name in servers if name in KNOWN_SERVERS]
    if any(server.slow_start for server in known):
        yield "startup_timeout: 180   # seconds; the first start downloads servers"
    if not servers:
        yield from ("# servers:", "#   files:", "#     command: npx")
        yield '#     args: [-y, "@modelcontextprotocol/server-filesystem", "${workspaceFolder}"]'
        return
    yield "servers:"
    for name, entry in servers.items():
        about = KNOWN_SERVERS.get(name)
        if about is not None:
            yield f"  # {about.about}" + (f"; needs {about.needs}" if about.needs else "")
        yield f"  {quoted(name)}:"
        for key, value in entry.items():
            yield f"    {key}: {_value(value)}"


def _more() -> Iterator[str]:
    yield "# What else there is (docs/definitions.md has all of it):"
    yield "# inputs: [{id: my-key, description: A key, password: true}]   # asked for, then ${input:my-key} above"
    yield '# permissions: {ask: ["files.write_*"]}                        # which calls are asked about'
    yield "# limits: {model_calls: 20, seconds: 300}                      # for each request"


def quoted(text: str) -> str:
    """`text` as a YAML value: bare where that is plain, else in double quotes."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./,-]+)*\.?", text)
    if plain and text.lower() not in _WORDS:
        return text
    return json.dumps(text, ensure_ascii=False)


def literal(text: str) -> str:
    """`text` in which nothing is a placeholder."""
    return PLACEHOLDER.sub(lambda found: f"${found[0]}", text)


def _value(value: Any) -> str:
    """A value of an entry; placeholders in it are meant."""
    return json.dumps(value, ensure_ascii=False)


_WORDS = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
