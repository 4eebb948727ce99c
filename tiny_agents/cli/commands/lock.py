"""`tiny-agents lock`: write down what an agent is now (revision, files, packages, tools), or check that it still is."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import (
    AgentLock,
    Prints,
    Seen,
    differences,
    differences_of_all_tools,
    lock_of,
    lock_path,
    read_lock,
    write_lock,
)
from tiny_agents.agent.definition.packages import unpinned_warnings
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.locking import load_as_locked, prints_of
from tiny_agents.agent.model_choice import without_overridden
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import Interrupts, leave_by_exception, undisturbed
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.cli.prompt.prompts import is_terminal
from tiny_agents.cli.report import LOADING, Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.servers import NO_MODEL
from tiny_agents.errors import ConfigError, ServerConnectionError, TinyAgentsError


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents lock`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    return (_check if arguments.check else _write)(arguments, reporter)


def _write(arguments: Namespace, reporter: Reporter) -> int:
    with reporter.notice_if_slow(LOADING):
        definition = load_definition(arguments.agent, allow_paths=arguments.allow_path)
    path = lock_path(definition)
    before = _older(path, reporter)
    seen = None if arguments.no_tools else _tools(definition, arguments, reporter)
    lock = lock_of(definition, seen)
    try:
        write_lock(path, lock, private=definition.origin is not None)
    except OSError as error:
        raise TinyAgentsError(f"the lock can't be written: {path}: {error.strerror or error}") from error
    for line in _news(before, definition, seen):
        sys.stdout.write(f"{one_line(line)}\n")
    for warning in unpinned_warnings(definition):
        reporter.warning(one_line(warning))
    reporter.notice(f"{path}: {_contents(lock)}")
    return ExitCode.DONE


def _older(path: Path, reporter: Reporter) -> AgentLock | None:
    """The lock that is going to be replaced, for saying what changed."""
    try:
        return read_lock(path)
    except ConfigError as error:
        reporter.warning(error)  # being replaced is what mends it
        return None


def _news(before: AgentLock | None, definition: AgentDefinition, seen: Seen | None) -> list[str]:
    if before is None:
        return []
    return [*differences(before, definition), *(differences_of_all_tools(before, seen) if seen is not None else ())]


def _contents(lock: AgentLock) -> str:
    revision = f"revision {lock.revision[:12]}, " if lock.revision is not None else ""
    if lock.tools is None:
        tools = "tools not locked"
    else:
        of_all: list[Prints] = [lock.tools, *(lock.agent_tools or {}).values()]
        tools = _count(sum(len(prints) for each in of_all for prints in each.values()), "tool")
    return f"{revision}{_count(len(lock.files), 'file')}, {tools}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _check(arguments: Namespace, reporter: Reporter) -> int:
    """Whether the agent is as locked, tools included; the exit status says so, too."""
    try:
        with reporter.notice_if_slow(LOADING):
            definition, locked = load_as_locked(
                arguments.agent, "required", allow_paths=arguments.allow_path, warn=reporter.warning
            )
        assert locked is not None  # it was required
        if locked.lock.tools is not None and not arguments.no_tools:
            seen = _tools(definition, arguments, reporter)
            locked.check(differences_of_all_tools(locked.lock, seen), reporter.warning)
    except ConfigError as error:
        reporter.error(error)
        return ExitCode.FAILED
    reporter.notice(f"{definition.name} is as locked ({_contents(locked.lock)}).")
    return ExitCode.DONE


# ---- tools: to know them, the servers have to be started


def _tools(definition: AgentDefinition, arguments: Namespace, reporter: Reporter) -> Seen:
    """How the tools of all servers look, those of agents that are tools included.

    Raises:
        TinyAgentsError: A server can't be started: a lock without its tools would be worth little.
    """
    someone_is_there = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if not arguments.trust:
        require_trust(definition, TrustStore.of_user(), can_ask=someone_is_there, warn=reporter.warning)
    if problems := missing_requirements(definition):
        raise ServerConnectionError(f"{problems[0]}; --no-tools locks the rest", server=definition.servers[0].name)
    ready = resolve_inputs(
        without_overridden(definition, NO_MODEL, {}),
        values=given_values(arguments.input),
        ask=ask_for_input if someone_is_there else None,
        warn=reporter.warning,
        keeper=Keyring(owner_of(definition), reporter.warning),
    )
    reporter.secrets += ready.secrets
    return asyncio.run(_look(ready))


async def _look(definition: AgentDefinition) -> Seen:
    with Interrupts().leaving():
        agent = Agent.from_definition(definition, NO_MODEL, pinning="off")
        try:
            agents = dict(_agents_below(agent))
            for each in (agent, *agents.values()):
                await each.load_tools()
                for error in each.failed_servers.values():
                    raise TinyAgentsError(f"nothing was locked: {error} (--no-tools leaves all tools out)") from error
            inner = {name: prints_of(each.connections) for name, each in agents.items() if each.connections}
            return Seen(prints_of(agent.connections), inner)
        finally:
            await undisturbed(agent.cleanup())


def _agents_below(agent: Agent) -> Iterator[tuple[str, Agent]]:
    """The agents that are tools, and theirs, each with its path of names."""
    for tool in agent.composition.agents:
        yield tool.name, tool.agent
        yield from ((f"{tool.name}/{path}", inner) for path, inner in _agents_below(tool.agent))
