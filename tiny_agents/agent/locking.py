"""An agent loaded as its `agent.lock` says, and what is done where it isn't as locked."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import (
    AgentLock,
    LockMode,
    Prints,
    differences,
    lock_path,
    lock_path_of,
    mismatch,
    read_lock,
    tool_differences,
)
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError
from tiny_agents.mcp_client.connection.connection import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Locked:
    """The lock of the agent that is being started.

    Attributes:
        agent: The agent as it was typed, for what is said.
    """

    lock: AgentLock
    path: Path
    mode: LockMode
    agent: str

    def check_tools(self, connections: Mapping[str, Connection], warn: Callable[[str], None] = log.warning) -> None:
        """Compare the tools that the servers list. Raises ConfigError unless differences are only warned of."""
        self.check(tool_differences(self.lock, prints_of(connections)), warn)

    def of_agent(self, name: str) -> Locked | None:
        """The same for an agent that is a tool; None where the lock says nothing about its tools."""
        lock = self.lock.of_agent(name)
        return None if lock is None else replace(self, lock=lock)

    def check(self, found: Iterable[str], warn: Callable[[str], None]) -> None:
        """Say what differs, if anything does: as an error, or in the mode `warn` as a warning."""
        if lines := list(found):
            error = mismatch(lines, self.path, self.agent)
            if self.mode != "warn":
                raise error
            warn(str(error))


def prints_of(connections: Mapping[str, Connection]) -> Prints:
    """How the tools of the servers look, of those that run."""
    return {name: {tool.name: tool.print for tool in connection.tools} for name, connection in connections.items()}


def load_as_locked(
    ref: str | Path,
    mode: LockMode = "check",
    *,
    allow_paths: Iterable[str | Path] = (),
    warn: Callable[[str], None] = log.warning,
) -> tuple[AgentDefinition, Locked | None]:
    """The agent and those that are its tools, at the revisions of its lock where none are named; and the lock, if there is
    one and it is wanted.

    Raises:
        ConfigError: There is no such agent, it isn't as locked, or a lock is required and there is none.
    """
    if mode == "off":
        return load_definition(ref, allow_paths=allow_paths), None
    expected = lock_path_of(ref)
    lock = read_lock(expected) if expected is not None else None
    definition = load_definition(
        ref,
        allow_paths=allow_paths,
        revision=lock.revision if lock is not None else None,
        revisions=lock.revisions() if lock is not None else None,
    )
    path = lock_path(definition, os.environ)
    if lock is None:
        if mode == "required":
            raise ConfigError(
                f"there is no lock of the agent, and one is required: `tiny-agents lock {ref}`", path=path
            )
        return definition, None
    locked = Locked(lock, path, mode, str(ref))
    locked.check(differences(lock, definition), warn)
    return definition, locked
