"""The servers of an agent, or a single server that is named by its command or address: started, without any model."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.agent.definition.types import AgentDefinition, ServerDefinition, ToolsDefinition
from tiny_agents.agent.locking import Locked, load_as_locked
from tiny_agents.agent.model_choice import COMMAND_LINE, ModelSettings
from tiny_agents.cli.asking.asking import TerminalHost
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.interrupts import Interrupts, undisturbed
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.cli.prompt.prompts import is_terminal
from tiny_agents.cli.report import LOADING, Reporter
from tiny_agents.errors import ConfigError, ServerConnectionError, UsageError
from tiny_agents.inference.settings import is_url
from tiny_agents.mcp_client.host.host import Host
from tiny_agents.mcp_client.host.hosts import HeadlessHost
from tiny_agents.mcp_client.tools.known_servers import KnownServers, file_of

NO_MODEL = ModelSettings("none", base_url="http://localhost", source=COMMAND_LINE)
"""Servers are started without one, those of agents that are tools, too; nothing is ever sent there."""

DEFINITIONS = frozenset({".yaml", ".yml", ".json"})


def read_target(arguments: Namespace, reporter: Reporter) -> tuple[AgentDefinition, Locked | None]:
    """What `arguments.target` means: an address, a command line, or an agent. Nothing is started or asked yet.

    Raises:
        UsageError: A command line that can't be read, or flags that don't go with it.
        ConfigError: There is no such agent, or it can't be used.
    """
    target = str(arguments.target)
    server = named_server(target)
    given = {"env": given_values(arguments.env), "headers": given_values(arguments.header)}
    for name, kinds in (("env", ("stdio",)), ("headers", ("http", "sse"))):
        if given[name] and (server is None or server.type not in kinds):
            flag, what = ("--env", "a command") if name == "env" else ("--header", "a URL")
            raise UsageError(f"{flag} is for {what}; an agent says it itself")
    if server is None:
        with reporter.notice_if_slow(LOADING):
            return load_as_locked(target, "check", allow_paths=arguments.allow_path, warn=reporter.warning)
    reporter.secrets += [value for values in given.values() for value in values.values()]
    server = replace(server, params={**server.params, **{name: values for name, values in given.items() if values}})
    return AgentDefinition(name=server.name, servers=(server,), secrets=frozenset(reporter.secrets)), None


def named_server(target: str) -> ServerDefinition | None:
    """The server of an address, or of a command line; None for the name of an agent.

    A word without spaces is a command where it is a program: one on the PATH that is no agent's name, or a file that can be
    executed.

    Raises:
        UsageError: A quote isn't closed.
    """
    if is_url(target):
        address = target.partition("?")[0].rstrip("/")
        return ServerDefinition("server", "sse" if address.endswith("/sse") else "http", {"url": target})
    if Path(target).expanduser().exists() and not _is_program(target):
        return None
    try:
        words = shlex.split(target, posix=os.name != "nt")
    except ValueError as error:
        raise UsageError(f"{target!r} is no command line: {str(error).lower()}") from error
    if len(words) < 2 and not _is_program(target):
        return None
    command, *args = words
    params = {"command": command, **({"args": tuple(args)} if args else {})}
    return ServerDefinition(Path(command).stem or "server", "stdio", params)


def _is_program(word: str) -> bool:
    from tiny_agents.agent.definition.loading import bundled_names

    path = Path(word).expanduser()
    if path.is_file():
        return os.access(path, os.X_OK) and path.suffix.lower() not in DEFINITIONS
    return not path.exists() and word not in bundled_names() and shutil.which(word) is not None


def ready(
    definition: AgentDefinition, arguments: Namespace, reporter: Reporter, *, only: str | None = None
) -> AgentDefinition:
    """`definition` as its servers can be started: trusted, its inputs filled in, without what only a model needs.

    Servers that this machine has no program for are told and left out.

    Args:
        only: The one server that is wanted.
    Raises:
        TinyAgentsError: Trust or a value is missing, or no server can be started.
    """
    someone_is_there = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if not arguments.trust:
        require_trust(definition, TrustStore.of_user(), can_ask=someone_is_there, warn=reporter.warning)
    if not definition.servers:
        raise ConfigError("this agent has no servers", path=definition.path)
    wanted = tuple(server for server in definition.servers if only in (None, server.name))
    definition = servers_alone(replace(definition, servers=wanted))
    missing = {
        server.name: problem
        for server in wanted
        for problem in missing_requirements(replace(definition, servers=(server,)))
    }
    if len(missing) == len(wanted):
        name, problem = next(iter(missing.items()))
        raise ServerConnectionError(problem, server=name)
    for problem in missing.values():
        reporter.warning(problem)
    kept = tuple(replace(server, required=False) for server in wanted if server.name not in missing)
    resolved = resolve_inputs(
        replace(definition, servers=kept),
        values=given_values(arguments.input),
        ask=ask_for_input if someone_is_there else None,
        warn=reporter.warning,
        keeper=Keyring(owner_of(definition), reporter.warning),
    )
    reporter.secrets += resolved.secrets
    return resolved


def servers_alone(definition: AgentDefinition) -> AgentDefinition:
    """`definition` without what needs a model, or would start anything but its servers."""
    bare = replace(definition, model=None, provider=None, endpoint_url=None, api_key=None, fallback_models=())
    return replace(bare, prompt=None, limit_values={}, output={}, tools=ToolsDefinition(), skills=())


async def with_servers(
    definition: AgentDefinition,
    locked: Locked | None,
    work: Callable[[Agent], Awaitable[int]],
    reporter: Reporter,
    *,
    whole: bool,
) -> int:
    """Start the servers, do `work`, and end them, whatever happens.

    Args:
        whole: All servers of the definition are started, so that a lock can be compared.
    Raises:
        Left: The program was asked to leave.
    """
    with Interrupts().leaving():
        agent = Agent.from_definition(
            definition,
            NO_MODEL,
            host=_host(reporter),
            known_servers=KnownServers(file_of(os.environ)),
            locked=locked if whole else None,
        )
        try:
            await agent.load_tools()
            return await work(agent)
        finally:
            await undisturbed(agent.cleanup())


def _host(reporter: Reporter) -> Host:
    """Servers can ask a person who is there; their questions, and the answers, don't mix with a result in a pipe."""
    if is_terminal(sys.stdin) and is_terminal(sys.stdout):
        return TerminalHost(lambda: reporter.before_line())
    return HeadlessHost(reason="nobody is at a terminal, so nobody can be asked")


def model_names(agent: Agent) -> dict[tuple[str, str], str]:
    """(server, tool) -> what a model would know the tool by."""
    names: Iterable[str] = (tool.function.name for tool in agent.available_tools)
    return {origin: name for name in names if (origin := agent.origin_of(name)) is not None}
