"""`PermissionAnswers`: the calls that a person has allowed an agent for good, kept in a file; each can be taken back."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from tiny_agents.data_dir import data_dir
from tiny_agents.mcp_client.calls.gate import CallRequest
from tiny_agents.mcp_client.tools.state_file import StateFile

FILE_NAME = "permissions.json"


class Allowed(msgspec.Struct, frozen=True):
    """A tool that may be called: as which version, and since when (seconds since 1970)."""

    version: str
    since: float


class AllowedOf(msgspec.Struct, frozen=True):
    """What one agent may call, by `server.tool`."""

    name: str
    tools: dict[str, Allowed] = {}


class _File(msgspec.Struct, frozen=True):
    version: int = 1
    agents: dict[str, AllowedOf] = {}


class PermissionAnswers:
    """What was allowed for good.

    Args:
        path: The file, for the user alone; several processes may use it.
        agent: Which agent's answers are meant: what tells it from others, such as the path of its definition.
        name: What people call it.
    """

    def __init__(self, path: Path, agent: str, name: str = "") -> None:
        self._file = StateFile(path, _File(), what="answers about tools")
        self._agent = agent
        self._name = name or agent

    @classmethod
    def of_user(cls, agent: str = "", name: str = "") -> PermissionAnswers:
        """Those of the command line, among the user's data."""
        return cls(data_dir(os.environ) / FILE_NAME, agent, name)

    def allows(self, request: CallRequest) -> bool:
        """Whether this very tool was allowed."""
        agent = self._file.value.agents.get(self._agent)
        allowed = None if agent is None else agent.tools.get(request.name)
        return allowed is not None and allowed.version == request.version

    def remember(self, request: CallRequest) -> None:
        allowed = Allowed(request.version, time.time())

        def added(file: _File) -> _File:
            agent = file.agents.get(self._agent) or AllowedOf(self._name)
            agent = AllowedOf(self._name, {**agent.tools, request.name: allowed})
            return msgspec.structs.replace(file, agents={**file.agents, self._agent: agent})

        self._file.change(added)

    def all(self) -> Mapping[str, AllowedOf]:
        """By agent."""
        return self._file.value.agents

    def forget(self, agents: Collection[str]) -> None:
        """Be asked again by these agents."""
        self._file.change(
            lambda file: msgspec.structs.replace(
                file, agents={key: agent for key, agent in file.agents.items() if key not in agents}
            )
        )
