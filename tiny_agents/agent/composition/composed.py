"""`Composition`: what an agent has besides servers and functions that were handed to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiny_agents.errors import ConfigError, UsageError

if TYPE_CHECKING:  # most agents have none of these
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.composition.media_files import MediaFiles
    from tiny_agents.agent.composition.subagents import Subagent
    from tiny_agents.agent.composition.tasks import Task
    from tiny_agents.agent.skills.library import Skills
    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.mcp_client.events import InnerEvent
    from tiny_agents.mcp_client.tools.functions import Functions


class Composition:
    """Other agents, skills and Python files of an agent; it is ended with the agent.

    Args:
        functions: Where its tools are put.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._agents: list[Subagent] = []
        self._python: list[tuple[Path, Mapping[Path, str] | None]] = []
        self._imported = 0
        self._tasks: list[Task] = []
        self._files: MediaFiles | None = None
        self._skills: Skills | None = None

    def add_agent(
        self, outer: Agent, agent: Agent, name: str, description: str | None, emit: Callable[[InnerEvent], None]
    ) -> Subagent:
        import re

        from tiny_agents.agent.composition.subagents import Subagent, check_circle, described

        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
            raise UsageError(f"add_agent: a name has letters, digits, '-' and '_', at most 64; got {name!r}")
        check_circle(outer, agent, name, lambda other: iter(other.composition.agents))
        tool = Subagent(agent, outer, name, emit)
        self._functions.add(tool.ask, name, described(agent, description), limits_itself=True)
        self._agents.append(tool)
        return tool

    @property
    def agents(self) -> Sequence[Subagent]:
        return tuple(self._agents)

    def add_skills(self, folders: Sequence[Path], pinned: Mapping[Path, str] | None = None) -> None:
        if self._skills is not None:
            self._skills.add(folders, pinned)
            return
        from tiny_agents.agent.skills.library import Skills
        from tiny_agents.mcp_client.tools.table import LOAD_SKILL

        self._skills = Skills(folders, pinned)
        if not self._functions.has(LOAD_SKILL):
            self._functions.add(self._skills.load_skill, LOAD_SKILL, None, own=True)

    def add_python_file(self, path: Path, pinned: Mapping[Path, str] | None = None) -> None:
        """Its functions become tools when the agent starts; nothing of it is run before.

        Args:
            pinned: The SHA-256 of all files that were downloaded with it; None for a file of the user's own.
        """
        self._python.append((path, pinned))

    def add_task(self, name: str, client: AsyncInferenceClient, readable: Sequence[Path]) -> None:
        from tiny_agents.agent.composition.media_files import MediaFiles
        from tiny_agents.agent.composition.tasks import Task

        files = self._files = self._files or MediaFiles()
        files.readable = tuple(dict.fromkeys((*files.readable, *readable)))
        task = Task(name, client, files)
        self._functions.add(task.tool, name, None, limits_itself=True)
        self._tasks.append(task)

    @property
    def tasks(self) -> Sequence[str]:
        return [task.name for task in self._tasks]

    def start(self) -> None:
        """Import the Python files. Raises ConfigError."""
        if not self._python:
            return
        from tiny_agents.agent.composition.python_files import public_functions

        while self._imported < len(self._python):
            path, pinned = self._python[self._imported]
            for function in public_functions(path, pinned):
                try:
                    self._functions.add(function, None, None)
                except UsageError as error:
                    raise ConfigError(str(error).removeprefix("add_tool: "), path=path) from error
            self._imported += 1

    def told(self) -> Iterator[str]:
        """What the system prompt says of it."""
        if self._skills is not None and (listing := self._skills.listing()) is not None:
            yield listing

    async def close(self) -> None:
        """End the agents, at the same time, and the clients of tasks."""
        import asyncio

        await asyncio.gather(*(agent.close() for agent in self._agents), *(task.close() for task in self._tasks))
