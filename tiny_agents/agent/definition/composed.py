"""What a definition is composed of besides servers: Python files, skills, agents. Found and checked; nothing is run."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiny_agents.agent.definition.boundary import Boundary
from tiny_agents.agent.definition.table import Problems
from tiny_agents.agent.definition.types import AgentDefinition, FileDefinition, SubagentDefinition
from tiny_agents.agent.skills.reading import SKILL_FILE, files_of, read_skill, skill_folders
from tiny_agents.errors import ConfigError

MAX_DEPTH = 4
"""Agents below agents."""
MAX_AGENTS = 50
"""Agents of one agent, those of its agents included: a definition of somebody else's may name a few that name a few."""


class CircleError(ConfigError):
    """Agents use each other in a circle."""


@dataclass(slots=True)
class _Count:
    agents: int = 0


@dataclass(frozen=True, slots=True)
class Above:
    """The agents whose tool the one is that is being loaded, the outermost first."""

    agents: tuple[AgentDefinition, ...] = ()
    count: _Count = field(default_factory=_Count)

    def below(self, definition: AgentDefinition) -> Above:
        return replace(self, agents=(*self.agents, definition))

    def check(self, definition: AgentDefinition) -> None:
        """Refuse an agent that is a tool of itself.

        Raises:
            CircleError: The message names all that are on the way.
        """
        known = [_identity(agent) for agent in self.agents]
        if _identity(definition) in known:
            circle = [*self.agents[known.index(_identity(definition)) :], definition]
            names = " -> ".join(agent.name for agent in circle)
            raise CircleError(f"agents are tools of each other in a circle: {names}", path=definition.path)


def _identity(definition: AgentDefinition) -> str:
    return os.path.realpath(definition.path) if definition.path is not None else ""


Load = Callable[[AgentDefinition, str, Above], AgentDefinition]
"""The agent that a definition means with a text; raises ConfigError."""


def composed(definition: AgentDefinition, boundary: Boundary, above: Above, load: Load) -> AgentDefinition:
    """`definition` with the places of its files, and with its agents.

    Raises:
        ConfigError: Something isn't there, lies outside the agent's folder, or can't be used; `others` has the rest.
        CircleError: An agent would be a tool of itself.
    """
    if not (definition.tools.python or definition.tools.agents or definition.skills):
        return definition
    problems = Problems()
    python, skills = list(definition.tools.python), list(definition.skills)
    sources: list[Path] = []
    for n, file in enumerate(python):
        with problems.noted():
            python[n] = _python_file(definition, boundary, file)
            sources += [path for path in (python[n].path,) if path is not None]
    for n, folder in enumerate(skills):
        with problems.noted():
            skills[n] = found = _skill_folder(definition, boundary, folder)
            sources += _skill_files(definition, found)
    with problems.noted():
        _check_skill_names(definition, skills)
    agents = list(definition.tools.agents)
    for n, agent in enumerate(agents):
        with problems.noted():
            agents[n] = replace(agent, definition=_loaded(definition, agent, above, load))
    problems.raise_first()
    _check_names(definition, agents)
    tools = replace(definition.tools, python=tuple(python), agents=tuple(agents))
    kept = tuple(dict.fromkeys((*definition.sources, *sources)))
    return replace(definition, tools=tools, skills=tuple(skills), sources=kept)


# ---- Python files


def _python_file(definition: AgentDefinition, boundary: Boundary, file: FileDefinition) -> FileDefinition:
    path = _path(definition, boundary, file)
    if not path.is_file():
        raise definition.error(file.key, f"there is no file {file.name!r} beside the definition")
    try:
        ast.parse(path.read_bytes(), filename=str(path))
    except OSError as error:
        raise definition.error(file.key, f"{file.name!r} can't be read: {error.strerror}") from error
    except SyntaxError as error:
        raise ConfigError(f"is no Python: {error.msg}", path=path, line=error.lineno, column=error.offset) from error
    except (ValueError, RecursionError, MemoryError) as error:  # NUL characters, a nesting without end
        raise ConfigError(f"is no Python: {error}", path=path) from error
    return replace(file, path=path)


def _path(definition: AgentDefinition, boundary: Boundary, file: FileDefinition) -> Path:
    try:
        return boundary.resolve(os.path.expanduser(file.name)).absolute()
    except ConfigError as error:
        raise definition.error(file.key, f"{file.name!r} {error.problem}") from error


# ---- skills


def _skill_folder(definition: AgentDefinition, boundary: Boundary, folder: FileDefinition) -> FileDefinition:
    path = _path(definition, boundary, folder)
    if not path.is_dir():
        raise definition.error(folder.key, f"there is no folder {folder.name!r} beside the definition")
    folders = skill_folders(path)
    if not folders:
        raise definition.error(folder.key, f"the folder {folder.name!r} has no skill: a folder with a {SKILL_FILE}")
    for skill in folders:
        read_skill(skill)
    return replace(folder, path=path)


def _skill_files(definition: AgentDefinition, folder: FileDefinition) -> Iterator[Path]:
    """All files of the skills, for a lock."""
    assert folder.path is not None
    if definition.downloaded:  # they are among its files anyway
        return
    for skill in skill_folders(folder.path):
        yield from (skill / name for name in files_of(skill))


def _check_skill_names(definition: AgentDefinition, folders: list[FileDefinition]) -> None:
    known: dict[str, Path] = {}
    for folder in folders:
        for skill in skill_folders(folder.path) if folder.path is not None else ():
            name = read_skill(skill).name
            if name in known:
                raise definition.error(folder.key, f"two skills are called {name!r}: {known[name]} and {skill}")
            known[name] = skill


# ---- agents


def _loaded(definition: AgentDefinition, agent: SubagentDefinition, above: Above, load: Load) -> AgentDefinition:
    above.count.agents += 1
    if above.count.agents > MAX_AGENTS:
        raise definition.error(
            agent.key, f"more than {MAX_AGENTS} agents belong to this one, those of its agents included"
        )
    if len(above.agents) >= MAX_DEPTH:
        raise definition.error(agent.key, f"agents are nested more than {MAX_DEPTH} deep")
    try:
        return load(definition, agent.ref, above.below(definition))
    except CircleError as error:
        if error.key is not None:
            raise
        at = definition.error(agent.key, error.problem)
        raise CircleError(at.problem, path=at.path, key=at.key, line=at.line, column=at.column) from error
    except ConfigError as error:
        error.others = ()
        raise definition.error(agent.key, f"the agent {agent.ref!r} can't be used: {error}") from error


def _check_names(definition: AgentDefinition, agents: list[SubagentDefinition]) -> None:
    for n, agent in enumerate(agents):
        if agent.tool in [other.tool for other in agents[:n]]:
            raise definition.error(agent.key, f"two agents would be the tool {agent.tool!r}: give one of them a `name`")


def downloaded_parts(definition: AgentDefinition) -> list[AgentDefinition]:
    """The definition and the agents below it that were downloaded, each download once."""
    parts = [definition, *(agent for _, agent in all_agents(definition))]
    found = {(part.origin.address, part.origin.commit): part for part in reversed(parts) if part.origin is not None}
    return list(found.values())[::-1]


def all_agents(definition: AgentDefinition) -> Iterator[tuple[str, AgentDefinition]]:
    """The agents below this one, each with its path of tool names: `researcher`, `researcher/reader`."""
    for agent in definition.tools.agents:
        yield agent.tool, agent.loaded
        yield from ((f"{agent.tool}/{path}", inner) for path, inner in all_agents(agent.loaded))
