"""`tiny-agents lock`: write down what an agent is now (revision, files, packages, tools), or check that it still is."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from pathlib import Path

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.lock import (
    AgentLock,
    Prints,
    differences,
    lock_of,
    lock_path,
    read_lock,
    tool_differences,
    write_lock,
)
from tiny_agents.agent.definition.packages import unpinned_warnings
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.locking import load_as_locked, prints_of
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
    lock = lock_of(definition, None if arguments.no_tools else _tools(definition, arguments, reporter))
    try:
        write_lock(path, lock, private=definition.origin is not None)
    except OSError as error:
        raise TinyAgentsError(f"the lock can't be written: {path}: {error.strerror or error}") from error
    for line in _news(before, lock, definition):
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


def _news(before: AgentLock | None, now: AgentLock, definition: AgentDefinition) -> list[str]:
    if before is None:
        return []
    return [*differences(before, definition), *tool_differences(before, now.tools or {})]


def _contents(lock: AgentLock) -> str:
    revision = f"revision {lock.revision[:12]}, " if lock.revision is not None else ""
    tools = "tools not locked" if lock.tools is None else _count(sum(map(len, lock.tools.values())), "tool")
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
            locked.check(tool_differences(locked.lock, _tools(definition, arguments, reporter)), reporter.warning)
    except ConfigError as error:
        reporter.error(error)
        return ExitCode.FAILED
    reporter.notice(f"{definition.name} is as locked ({_contents(locked.lock)}).")
    return ExitCode.DONE


# ---- tools: to know them, the servers have to be started


def _tools(definition: AgentDefinition, arguments: Namespace, reporter: Reporter) -> Prints:
    """How the tools of all servers look.

    Raises:
        TinyAgentsError: A server can't be started: a lock without its tools would be worth little.
    """
    someone_is_there = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if not arguments.trust:
        require_trust(definition, TrustStore.of_user(), can_ask=someone_is_there, warn=reporter.warning)
    if problems := missing_requirements(definition):
        raise ServerConnectionError(f"{problems[0]}; --no-tools locks the rest", server=definition.servers[0].name)
    ready = resolve_inputs(
        definition,
        values=given_values(arguments.input),
        ask=ask_for_input if someone_is_there else None,
        warn=reporter.warning,
        keeper=Keyring(owner_of(definition), reporter.warning),
    )
    reporter.secrets += ready.secrets
    return asyncio.run(_look(ready))


async def _look(definition: AgentDefinition) -> Prints:
    with Interrupts().leaving():
        agent = Agent.from_definition(definition, NO_MODEL, pinning="off")
        try:
            await agent.load_tools()
            for error in agent.failed_servers.values():
                raise TinyAgentsError(f"nothing was locked: {error} (--no-tools leaves all tools out)") from error
            return prints_of(agent.connections)
        finally:
            await undisturbed(agent.cleanup())
