"""`tiny-agents show`: what an agent is and would do, whether it is trusted and as locked. Starts nothing."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterable

from tiny_agents.agent.definition.loading import is_bundled
from tiny_agents.agent.definition.packages import unpinned_warnings
from tiny_agents.agent.definition.requirements import commands_and_hosts, missing_of_agents, missing_requirements
from tiny_agents.agent.definition.trust import TrustStore, as_it_is, covers
from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition
from tiny_agents.agent.locking import Locked, load_as_locked
from tiny_agents.agent.permissions.rules import in_words, permissions_of
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import LOADING, Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import redact, redact_addresses

MAX_FILES_SHOWN = 100


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Show the agent that `run` would start."""
    set_up_diagnostics(reporter)
    differing: list[str] = []
    with reporter.notice_if_slow(LOADING):
        definition, locked = load_as_locked(
            arguments.agent, "warn", allow_paths=arguments.allow_path, warn=differing.append
        )
    screen = Screen(sys.stdout, sys.stdout)
    screen.line(one_line(definition.name), Style.BOLD)
    for line in _about(definition):
        screen.line(f"  {one_line(line)}")
    for line in _states(definition, locked):
        screen.line(f"  {one_line(line)}")
    missing = (*missing_requirements(definition), *missing_of_agents(definition))
    for warning in (*differing, *missing, *unpinned_warnings(definition)):
        screen.line(f"  {one_line(warning)}", Style.WARNING)
    return ExitCode.DONE


def _about(definition: AgentDefinition) -> Iterable[str]:
    if definition.description:
        yield definition.description
    yield f"from: {_source(definition)}"
    if definition.model is not None:
        place = definition.endpoint_url or definition.provider
        yield redact_addresses(f"model: {redact(definition.model)}" + (f" at {redact(place)}" if place else ""))
    if definition.prompt is not None:
        where = definition.prompt_file or "in the definition"
        yield f"prompt: {where}, {len(definition.prompt)} characters"
    yield from commands_and_hosts(definition)
    if definition.servers:
        yield from in_words(permissions_of(definition))
    yield from map(_input, definition.inputs)
    yield from (f"needs: {need}" for need in definition.requires)
    if definition.origin is not None:
        listed = [f"{path} ({size:,} bytes)" for path, size in sorted(definition.origin.sizes.items())]
        more = f", and {len(listed) - MAX_FILES_SHOWN} more" if len(listed) > MAX_FILES_SHOWN else ""
        yield f"files: {', '.join(listed[:MAX_FILES_SHOWN])}{more}"


def _source(definition: AgentDefinition) -> str:
    origin = definition.origin
    if origin is not None:
        return f"{origin.address}, revision {origin.commit} (in {origin.folder})"
    bundled = definition.path is not None and is_bundled(definition.path)
    return "comes with tiny-agents" if bundled else str(definition.path)


def _input(item: InputDefinition) -> str:
    words = [f"input: {item.id}"]
    if item.description:
        words.append(f"({item.description.rstrip('.')})")
    words.append(f"from {item.variable} or --input")
    if item.default is not None:
        words.append("or its default")
    return " ".join(words)


def _states(definition: AgentDefinition, locked: Locked | None) -> Iterable[str]:
    if definition.origin is not None:
        now = as_it_is(definition, definition.origin)
        before = TrustStore.of_user().answers().get(now.address)
        if before is None:
            yield "trusted: not yet; you are asked when it starts"
        elif covers(before, now):
            yield f"trusted: since {before.on}"
        else:
            yield f"trusted: as it was on {before.on}, not as it is now; you are asked when it starts"
    yield f"locked: in {locked.path}" if locked is not None else "locked: no"
