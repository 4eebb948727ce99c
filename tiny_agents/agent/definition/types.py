"""What an agent is made of: plain values, None where the definition says nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tiny_agents.agent.definition.reference import Origin
from tiny_agents.agent.permissions.rules import ApprovalWord
from tiny_agents.agent.testing.case import Case
from tiny_agents.errors import ConfigError, redact
from tiny_agents.mcp_client.bounds import Pinning
from tiny_agents.mcp_client.connection.servers import ServerType


@dataclass(frozen=True, slots=True)
class ServerDefinition:
    """An MCP server.

    Attributes:
        name: What messages and qualified tool names call it.
        params: stdio: `command`, `args`, `env`, `cwd`. http and sse: `url`, `headers`, `auth`, `timeout`, `sse_read_timeout`
            in seconds, `terminate_on_close` (http). Only what the definition gives.
        allowed_tools: The tools the model may see, by the server's own names; None for all.
        options: What else holds for a server of any type: `tools`, `startup_timeout`, `tool_timeout`, `protocol`,
            `roots` (absolute once the placeholders are filled in), `instructions`, `log_level`, `max_parallel_calls`. Only
            what the definition gives.
        required: Without it the agent doesn't start.
        approval: Which of its calls are asked about.
        key: Where it stands in the definition: `servers.files` or `servers[0]`.
        legacy: Written in the nested form of early agent.json files, whose inputs have one more fallback.
    """

    name: str
    type: ServerType
    params: dict[str, Any] = field(default_factory=dict, repr=False)
    allowed_tools: tuple[str, ...] | None = None
    key: str = ""
    legacy: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    required: bool = False
    approval: ApprovalWord | None = None

    def as_kwargs(self, secrets: Collection[str] = ()) -> dict[str, Any]:
        """Arguments for `MCPClient.add_mcp_server(**kwargs)`, and an entry for `Agent(servers=[...])`.

        Args:
            secrets: Of the whole definition, once its inputs are resolved.
        """
        kwargs: dict[str, Any] = {"type": self.type, "name": self.name, **_listed({**self.params, **self.options})}
        if self.allowed_tools is not None:
            kwargs["allowed_tools"] = list(self.allowed_tools)
        if secrets:
            kwargs["secrets"] = sorted(secrets)
        return kwargs


def _listed(value: Any) -> Any:
    """`value` with lists in place of tuples, as callers expect them from a file."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class InputOption:
    """One of the values that an input may have; `label` is what a person is shown, the value itself if it is empty."""

    value: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class InputDefinition:
    """A value that the person who runs the agent brings along, used as `${input:id}`.

    Attributes:
        type: "promptString" is any text, "pickString" one of `options`.
        password: Never echo it, never show it.
        default: Used where nobody gives a value; None means that there must be one, unless `required` is False.
        env: Environment variable that is looked at; None for the id in capitals with `_` for `-`.
        required: False: without a value it is an empty text. None is what the definition doesn't say.
        store: Where a value is kept that was given or typed; None remembers nothing.
    """

    id: str
    description: str = ""
    type: Literal["promptString", "pickString"] = "promptString"
    password: bool = False
    default: str | None = field(default=None, repr=False)
    env: str | None = None
    options: tuple[InputOption, ...] = ()
    required: bool | None = None
    store: Literal["keyring"] | None = None
    key: str = ""

    @property
    def variable(self) -> str:
        """The environment variable that gives this input its value."""
        return self.env or self.id.upper().replace("-", "_")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values of `options`."""
        return tuple(option.value for option in self.options)


@dataclass(frozen=True, slots=True)
class ImportDefinition:
    """A file of another program whose servers are taken over.

    Attributes:
        file: Relative to the definition.
        servers: Names or patterns of those that are wanted; None for all.
    """

    file: str
    servers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FileDefinition:
    """A file or a folder of the definition.

    Attributes:
        name: As written, relative to the definition.
        path: Where it is, once loaded.
    """

    name: str
    key: str = ""
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """An inference task that becomes a tool.

    Attributes:
        task: As `InferenceClient` has it: `text_to_image`.
        model: A model's id, or the URL of an endpoint; None for the one that is recommended.
        provider: None for the agent's own where that is an inference provider, else `auto`.
    """

    task: str
    model: str | None = None
    provider: str | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class SubagentDefinition:
    """Another agent that becomes a tool.

    Attributes:
        ref: As written: a path relative to the definition, a bundled name, or an agent on the Hub.
        name: What the tool is called; "" for the agent's own name.
        description: What the model is told of it; None for the agent's own.
        definition: The agent, once loaded.
    """

    ref: str
    name: str = ""
    description: str | None = None
    key: str = ""
    definition: AgentDefinition | None = None

    @property
    def loaded(self) -> AgentDefinition:
        """The agent; only once it is loaded."""
        assert self.definition is not None
        return self.definition

    @property
    def tool(self) -> str:
        """What the tool is called."""
        return self.name or re.sub(r"[^A-Za-z0-9_-]+", "_", self.loaded.name).strip("_")[:64] or "agent"


@dataclass(frozen=True, slots=True)
class ToolsDefinition:
    """Tools that come from no server.

    Attributes:
        folders: Where tasks may read files, besides what they made themselves; absolute once the placeholders are filled in.
    """

    python: tuple[FileDefinition, ...] = ()
    agents: tuple[SubagentDefinition, ...] = ()
    tasks: tuple[TaskDefinition, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class AgentDefinition:
    """An agent as its file describes it; None is what the file doesn't say.

    Attributes:
        endpoint_url: OpenAI-compatible endpoint; wins over `provider`.
        prompt: The system prompt's text, once loaded.
        prompt_file: The file the prompt comes from, relative to the definition; None where the definition holds it.
        timeout: Seconds without data from the model.
        startup_timeout: Seconds a server may take to start.
        tool_timeout: Seconds a tool call may take.
        max_turns: Model calls per prompt.
        max_parallel_calls: Tool calls of one answer that run at the same time.
        pinning: What becomes of a tool that changes after it was first used.
        fallback_models: Models to ask, in this order, where `model` can't answer.
        params: Passed on with every call of the model, by the names of `chat_completion`.
        limit_values: What one prompt may use up, by the names in `keys.LIMITS`.
        permissions: `default`, `allow`, `ask` and `deny` (rules), `unattended`.
        context: How much of the conversation the model gets, by the names of `ContextSettings`.
        output: `schema` of the final answer: a path relative to the definition, or the schema itself.
        tools: Tools that come from no server.
        skills: Folders with skills.
        tests: Files with tests (patterns such as `tests/*.yaml`), and tests; `testing.loading.cases_of` reads the files.
        imports: Files with more servers; once loaded, these are in `servers`.
        imported: How keys of what was imported begin -> the file that has them.
        instructions: Whether the model is told what servers say about their use.
        tool_emulation: The model or endpoint has no tool API: choose tools by constrained decoding.
        requires: What must be there for it to work, in words for people.
        sessions: False where its conversations are not to be saved.
        path: The file it was read from.
        strict: Read by agent.yaml's rules; False for agent.json's.
        downloaded: It came from the Hub, so its commands need the user's consent.
        origin: Where on the Hub, at which revision, with which files; None for the user's own.
        sources: The files that were read for it.
        allowed: Folders outside its own from which it may read files, as the user said.
        secrets: Values that must not be shown, known once the inputs are resolved.
        places: Key path -> (line, column), for errors that are found later.
    """

    name: str
    description: str | None = None
    model: str | None = None
    provider: str | None = None
    endpoint_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    prompt: str | None = None
    prompt_file: str | None = None
    inputs: tuple[InputDefinition, ...] = ()
    servers: tuple[ServerDefinition, ...] = ()
    timeout: float | None = None
    startup_timeout: float | None = None
    tool_timeout: float | None = None
    max_turns: int | None = None
    max_parallel_calls: int | None = None
    pinning: Pinning | None = None
    fallback_models: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    limit_values: Mapping[str, float] = field(default_factory=dict)
    permissions: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    tools: ToolsDefinition = ToolsDefinition()
    skills: tuple[FileDefinition, ...] = ()
    tests: tuple[FileDefinition | Case, ...] = ()
    imports: tuple[ImportDefinition, ...] = ()
    imported: Mapping[str, Path] = field(default_factory=dict, repr=False, compare=False)
    instructions: bool = True
    tool_emulation: bool = False
    requires: tuple[str, ...] = ()
    sessions: bool | None = None
    path: Path | None = None
    strict: bool = True
    downloaded: bool = False
    origin: Origin | None = None
    sources: tuple[Path, ...] = ()
    allowed: tuple[Path, ...] = ()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)

    def __repr__(self) -> str:
        """Which agent it is, and nothing that may hold a secret."""
        servers = ", ".join(server.name for server in self.servers)
        return redact(f"<AgentDefinition {self.name!r} path={str(self.path)!r} servers=[{servers}]>", self.secrets)

    def limits(self) -> dict[str, Any]:
        """The limits that the definition sets, as keyword arguments of `Agent`."""
        names = ("timeout", "startup_timeout", "tool_timeout", "max_turns", "max_parallel_calls")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    @property
    def pinning_wanted(self) -> Pinning:
        """What becomes of a tool that changes; one that was downloaded can't say that nobody is to be told."""
        if self.downloaded and self.pinning == "off":
            return "warn"
        return self.pinning or "warn"

    def error(self, key: str, problem: str) -> ConfigError:
        """An error at `key` of this definition, with its line if the file has it (or the nearest key above it)."""
        known = max((place for place in self.places if key.startswith(place)), key=len, default="")
        line, column = self.places[known] if known else (None, None)
        for prefix, path in self.imported.items():
            if key.startswith(prefix):
                return ConfigError(problem, path=path, key=key.removeprefix(prefix), line=line, column=column)
        return ConfigError(problem, path=self.path, key=key, line=line, column=column)
