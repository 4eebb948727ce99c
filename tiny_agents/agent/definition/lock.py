"""`agent.lock`: an agent as it was when somebody looked at it, so that another is noticed before it runs.

    {"version": 1,
     "agent": "hf://datasets/tiny-agents/tiny-agents/user/agent",     or the definition's file name
     "revision": "<commit>",                                          agents from the Hub
     "files": {"agent.yaml": "<sha256>", ...},
     "packages": {"<server>": "npm:some-server@1.2.3", ...},          what the commands name
     "agents": {"<tool>": {"agent": ..., ...}},                       agents that are tools, the same way
     "tools": {"<server>": {"<tool>": {"description": "...", "input": "...", "output": "...", "hints": "..."}}},
     "agent_tools": {"<tool>/<tool>": {"<server>": ...}}}             the same of agents that are tools

It lies beside a definition of the user's own, and in the data directory for agents from the Hub. All of it but `revision`
is compared; for an agent from the Hub that is asked for without a revision, on the command line or by an agent whose tool it
is, the lock's is taken.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from tiny_agents.agent.definition.packages import packages_of
from tiny_agents.agent.definition.reference import full_address, hub_reference
from tiny_agents.agent.definition.trust import changed_files
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.data_dir import data_dir, write_private
from tiny_agents.errors import ConfigError
from tiny_agents.inference.cache import sha256_of
from tiny_agents.mcp_client.tools.pinning import ToolPrint

VERSION = 1
MAX_BYTES = 10_000_000
MAX_TOLD = 12
"""Differences that an error names."""

LockMode = Literal["required", "check", "warn", "off"]
"""There must be a lock, and the agent must be as it says; if there is one, it must; differences are only warned of; no lock
is looked at."""
LOCK_MODES: tuple[LockMode, ...] = ("required", "check", "warn", "off")

Prints = Mapping[str, Mapping[str, ToolPrint]]
"""Server -> tool -> how the tool looks."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How the tools of an agent look.

    Attributes:
        tools: Those of its own servers.
        agents: Those of the agents that are its tools, by the names of these: `researcher`, `researcher/reader`.
    """

    tools: Prints
    agents: Mapping[str, Prints] = field(default_factory=dict)


class AgentLock(msgspec.Struct, frozen=True, kw_only=True):
    """What a lock file says. `tools` and `agent_tools` are None where they weren't looked at; `agents` are those that are
    tools, by name, but for those that are files of this agent."""

    version: int = VERSION
    agent: str
    revision: str | None = None
    files: dict[str, str]
    packages: dict[str, str] = {}
    agents: dict[str, AgentLock] = {}
    tools: dict[str, dict[str, ToolPrint]] | None = None
    agent_tools: dict[str, dict[str, dict[str, ToolPrint]]] | None = None

    def revisions(self) -> dict[str, str]:
        """Address -> locked revision, of the agents on the Hub that are tools."""
        found: dict[str, str] = {}
        for agent in self.agents.values():
            found |= agent.revisions()
            if agent.revision is not None:
                found[agent.agent] = agent.revision
        return found

    def of_agent(self, name: str) -> AgentLock | None:
        """What it says about the tools of an agent that is a tool; None where these weren't looked at."""
        if self.agent_tools is None or name not in self.agent_tools:
            return None
        inner = {
            path.removeprefix(f"{name}/"): tools
            for path, tools in self.agent_tools.items()
            if path.startswith(f"{name}/")
        }
        return AgentLock(agent=name, files={}, tools=self.agent_tools[name], agent_tools=inner)


class _Versioned(msgspec.Struct, frozen=True):
    version: int


def lock_of(definition: AgentDefinition, seen: Seen | None = None) -> AgentLock:
    """The lock of an agent as it is now.

    Args:
        seen: How its tools look; None leaves them out.
    Raises:
        ConfigError: One of its files can't be read any more.
    """
    origin = definition.origin
    return AgentLock(
        agent=origin.address if origin is not None else _file_of(definition).name,
        revision=origin.commit if origin is not None else None,
        files=dict(origin.files) if origin is not None else _own_files(definition),
        packages={package.server: str(package) for package in packages_of(definition)},
        agents={
            agent.tool: lock_of(agent.loaded)
            for agent in definition.tools.agents
            if origin is None or agent.loaded.origin != origin  # else it is one of this agent's files
        },
        tools=None if seen is None else _plain(seen.tools),
        agent_tools=None if seen is None else {name: _plain(tools) for name, tools in seen.agents.items()},
    )


def _plain(tools: Prints) -> dict[str, dict[str, ToolPrint]]:
    return {server: dict(prints) for server, prints in tools.items()}


def _file_of(definition: AgentDefinition) -> Path:
    if definition.path is None:
        raise ConfigError("a definition that comes from no file can't be locked")
    return definition.path


def _own_files(definition: AgentDefinition) -> dict[str, str]:
    """Of the user's own agent: the files that were read for it, and those in its folder that its commands name."""
    folder = _file_of(definition).parent
    named = {
        folder / match[1]
        for server in definition.servers
        for text in (server.params.get("command", ""), *server.params.get("args", ()))
        if (match := re.fullmatch(r"\$\{agentDir\}[\\/](.+)", text)) and (folder / match[1]).is_file()
    }
    try:
        return {
            Path(os.path.relpath(path, folder)).as_posix(): sha256_of(path)
            for path in (*definition.sources, *sorted(named))
        }
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", path=error.filename) from error


# ---- differences


def differences(lock: AgentLock, definition: AgentDefinition) -> list[str]:
    """What about the agent isn't as locked, a line each, as far as that can be known without starting anything."""
    return _differences(lock, lock_of(definition))


def _differences(lock: AgentLock, now: AgentLock) -> list[str]:
    found = changed_files(lock.files, now.files)
    for server in sorted(lock.packages.keys() | now.packages.keys()):
        before, after = lock.packages.get(server), now.packages.get(server)
        if before != after:
            found.append(f"package of the server {server}: {before or 'none'} was locked, {after or 'none'} is there")
    if found and lock.revision != now.revision:
        found.append(f"revision: {_short(lock.revision)} was locked, {_short(now.revision)} is there")
    for name in sorted(lock.agents.keys() | now.agents.keys()):
        if name not in lock.agents or name not in now.agents:
            found.append(f"{'new' if name in now.agents else 'gone'} agent: {name}")
            continue
        was, there = lock.agents[name], now.agents[name]
        if was.agent != there.agent:
            found.append(f"the agent {name}: {was.agent} was locked, {there.agent} is there")
        found += [f"the agent {name}: {line}" for line in _differences(was, there)]
    return found


def differences_of_all_tools(lock: AgentLock, now: Seen) -> list[str]:
    """As `tool_differences`, those of agents that are tools included."""
    found = tool_differences(lock, now.tools)
    for name, tools in now.agents.items():
        inner = lock.of_agent(name)
        found += [f"the agent {name}: {line}" for line in tool_differences(inner, tools)] if inner is not None else []
    return found


def tool_differences(lock: AgentLock, now: Prints) -> list[str]:
    """What about the tools isn't as locked. Servers that aren't in `now`, because they didn't start, aren't looked at."""
    if lock.tools is None:
        return []
    found: list[str] = []
    for server, prints in now.items():
        if server not in lock.tools:
            found.append(f"{server}: its tools weren't locked")
            continue
        known = lock.tools[server]
        for tool in sorted(known.keys() | prints.keys()):
            if tool not in known:
                found.append(f"new tool: {server}.{tool}")
            elif tool not in prints:
                found.append(f"gone tool: {server}.{tool}")
            elif parts := prints[tool].unlike(known[tool]):
                found.append(f"changed tool: {server}.{tool} ({', '.join(parts)})")
    return found


def mismatch(found: Iterable[str], path: Path, agent: str) -> ConfigError:
    """The error about an agent that isn't as locked."""
    lines = list(found)
    more = f"; and {len(lines) - MAX_TOLD} more" if len(lines) > MAX_TOLD else ""
    return ConfigError(
        f"the agent isn't as locked: {'; '.join(lines[:MAX_TOLD])}{more}. If that is as it should be, "
        f"`tiny-agents lock {agent}` locks it as it is now; --lock warn starts it anyway",
        path=path,
    )


def _short(revision: str | None) -> str:
    return revision[:12] if revision is not None else "none"


# ---- files


def lock_path(definition: AgentDefinition, env: Mapping[str, str] = os.environ) -> Path:
    """Where the lock of an agent is, or would be."""
    from tiny_agents.agent.definition.loading import is_bundled

    if definition.origin is not None:
        return _kept(definition.origin.address, env)
    path = _file_of(definition)
    return _kept(f"bundled {path.stem}", env) if is_bundled(path) else path.with_suffix(".lock")


def lock_path_of(ref: str | Path, env: Mapping[str, str] = os.environ) -> Path | None:
    """Where the lock of the agent that `ref` means would be, before that is loaded; None where `ref` means none.

    Raises:
        ConfigError: `ref` begins like an agent on the Hub and can't be one.
    """
    from tiny_agents.agent.definition.loading import is_bundled, local_definition

    if (path := local_definition(ref)) is not None:
        return _kept(f"bundled {path.stem}", env) if is_bundled(path) else path.with_suffix(".lock")
    reference = hub_reference(ref) if isinstance(ref, str) else None
    return _kept(full_address(reference, env), env) if reference is not None else None


def _kept(name: str, env: Mapping[str, str]) -> Path:
    readable = re.sub(r"[^\w.-]+", "-", name.removeprefix("hf://datasets/"))[:80]
    return data_dir(env) / "locks" / f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.lock"


def read_lock(path: Path) -> AgentLock | None:
    """The lock in a file; None if there is no such file.

    Raises:
        ConfigError: It can't be read, is no lock, or is from a newer version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"can't be read: {(error.strerror or str(error)).lower()}", path=path) from error
    try:
        if (version := msgspec.json.decode(data, type=_Versioned).version) > VERSION:
            raise ConfigError(
                f"was written by a newer tiny-agents (version {version} of agent.lock; this one knows {VERSION}): update "
                "tiny-agents, or lock the agent anew",
                path=path,
            )
        return msgspec.json.decode(data, type=AgentLock)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"is no agent.lock ({error}): remove it, or lock the agent anew", path=path) from error


def write_lock(path: Path, lock: AgentLock, *, private: bool) -> None:
    """Write a lock, whole or not at all, in an order that doesn't change without need.

    Args:
        private: For the user alone; a lock beside a definition is a file like the definition, to be shared with it.
    Raises:
        OSError: It can't be written.
    """
    data = msgspec.json.format(msgspec.json.encode(lock, order="deterministic"), indent=2) + b"\n"
    write_private(path, data, mode=0o600 if private else 0o666)
