"""`tiny-agents doctor`: what is there, what works, and what to do about the rest. Asks no questions, shows no secrets."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, replace

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore, as_it_is, covers
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.agent.model_choice import without_overridden
from tiny_agents.cli.config import config_path, read_config
from tiny_agents.cli.endpoints import endpoint_finding, token_works
from tiny_agents.cli.exit_codes import ExitCode, error_message
from tiny_agents.cli.findings import Finding, State, here
from tiny_agents.cli.flags.model import chosen_model, settings_of_flags
from tiny_agents.cli.interrupts import leave_by_exception
from tiny_agents.cli.prompt.input_values import given_values
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.banner import model_words
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.cli.servers import servers_alone, with_servers
from tiny_agents.errors import TinyAgentsError, redact, redact_addresses
from tiny_agents.inference.credentials import find_token

MARKS: dict[State, tuple[str, Style]] = {
    "ok": ("ok     ", Style.PLAIN),
    "note": ("note   ", Style.DIM),
    "warning": ("warning", Style.WARNING),
    "error": ("error  ", Style.ERROR),
}
VERSION = 1
HANG = 9  # behind the word that begins a line


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents doctor`."""
    set_up_diagnostics(reporter)
    reporter.only_errors = True  # what libraries say on the way is found below, in words of ours
    leave_by_exception()
    reporter.secrets += [token for token in [find_token()] if token]
    screen = Screen(sys.stdout, sys.stdout)
    found: list[Finding] = []
    for finding in _examined(arguments, reporter):
        safe = _without_secrets(finding, reporter)
        found.append(safe)
        if not arguments.json:
            _show(safe, screen)
    errors = sum(finding.state == "error" for finding in found)
    if arguments.json:
        data = {"version": VERSION, "ok": not errors, "findings": [asdict(finding) for finding in found]}
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
    else:
        screen.line("All is well." if not errors else f"{errors} to mend.", Style.BOLD)
    return ExitCode.FAILED if errors else ExitCode.DONE


def _without_secrets(finding: Finding, reporter: Reporter) -> Finding:
    def clean(text: str) -> str:
        return redact_addresses(redact(text, reporter.secrets))

    return replace(finding, text=clean(finding.text), fix=clean(finding.fix))


def _show(finding: Finding, screen: Screen) -> None:
    mark, style = MARKS[finding.state]
    screen.line(f"{mark}  {one_line(finding.what)}: {one_line(finding.text)}", style, hang=HANG)
    if finding.fix:
        screen.line(f"         {one_line(finding.fix)}", Style.DIM)


# ---------------------------------------------------------------- what is looked at, in this order


def _examined(arguments: Namespace, reporter: Reporter) -> Iterator[Finding]:
    yield from here()
    yield _configuration()
    if arguments.online:
        yield token_works(os.environ)
    definition = AgentDefinition(name="none")
    if arguments.agent is not None:
        findings = list(_definition(arguments))
        loaded = findings.pop() if isinstance(findings[-1], AgentDefinition) else None
        yield from (finding for finding in findings if isinstance(finding, Finding))
        if not isinstance(loaded, AgentDefinition):
            return
        definition = loaded
    yield from _model(arguments, definition, reporter)
    if definition.servers:
        yield from _servers(arguments, definition, reporter)


def _configuration() -> Finding:
    path = config_path(os.environ)
    try:
        read_config(os.environ)
    except TinyAgentsError as error:
        return Finding("error", "configuration", str(error), "`tiny-agents config path` names the file")
    return Finding("ok", "configuration", str(path) if path.exists() else f"none ({path})")


def _definition(arguments: Namespace) -> Iterator[Finding | AgentDefinition]:
    """What there is to say about the definition; it comes last, if it can be used."""
    try:
        validated = validate_definition(arguments.agent, allow_paths=arguments.allow_path)
    except TinyAgentsError as error:
        yield Finding("error", "agent", str(error))
        return
    for problem in validated.errors:
        yield Finding("error", "agent", problem.args[0])
    missing = missing_requirements(validated.definition) if validated.definition is not None else []
    for warning in validated.warnings:
        if warning not in missing:
            yield Finding("warning", "agent", warning)
    if validated.definition is not None and not validated.errors:
        yield Finding("ok", "agent", f"{validated.definition.name}, {validated.definition.path}")
        yield validated.definition


def _model(arguments: Namespace, definition: AgentDefinition, reporter: Reporter) -> Iterator[Finding]:
    try:
        flags = settings_of_flags(arguments)
        reporter.secrets += [flags.api_key] if flags.api_key else []
        only_model = replace(without_overridden(definition, flags, os.environ), servers=(), prompt=None)
        resolved = resolve_inputs(only_model, values=_values(arguments, only_model), warn=lambda _: None)
        reporter.secrets += resolved.secrets
        model = chosen_model(flags, os.environ, resolved, read_config(os.environ))
    except TinyAgentsError as error:
        yield Finding("error", "model", error_message(error))
        return
    reporter.secrets += [model.api_key] if model.api_key else []
    yield Finding("ok", "model", f"{model_words(model)} (from {model.source})")
    yield endpoint_finding(model)


def _values(arguments: Namespace, definition: AgentDefinition) -> dict[str, str]:
    """The values of `--input` that this part of the definition knows."""
    known = {each.id for each in definition.inputs}
    return {id: value for id, value in given_values(arguments.input).items() if id in known}


def _servers(arguments: Namespace, definition: AgentDefinition, reporter: Reporter) -> Iterator[Finding]:
    """Each server: started if it may be, and its tools listed."""
    origin = definition.origin
    if origin is not None and not arguments.trust:
        now = as_it_is(definition, origin)
        try:
            trusted = covers(TrustStore.of_user().answers().get(now.address), now)
        except TinyAgentsError as error:
            yield Finding("error", "trust", str(error))
            return
        if not trusted:
            fix = f"look at it with `tiny-agents show {arguments.agent}`, then `tiny-agents trust add`"
            yield Finding("warning", "trust", "you haven't agreed to this agent: its servers weren't started", fix)
            return
    if arguments.no_start:
        yield Finding("note", "servers", "not started (--no-start)")
        return
    bare = servers_alone(definition)
    for server in definition.servers:
        alone = replace(bare, servers=(replace(server, required=False),))
        if missing := missing_requirements(alone):
            yield Finding("error", f"server {server.name}", missing[0])
        else:
            yield _server(alone, arguments, reporter)


def _server(alone: AgentDefinition, arguments: Namespace, reporter: Reporter) -> Finding:
    name = alone.servers[0].name
    try:
        ready = resolve_inputs(alone, values=_values(arguments, alone), warn=lambda _: None)
    except TinyAgentsError as error:
        return Finding("error", f"server {name}", error_message(error))
    reporter.secrets += ready.secrets
    found: list[Finding] = []
    began = time.monotonic()

    async def look(agent: Agent) -> int:
        for error in agent.failed_servers.values():
            found.append(Finding("error", f"server {name}", error_message(error)))
        for connection in agent.connections.values():
            tools = [tool.name for tool in connection.tools]
            listed = f"{len(tools)} tool{'' if len(tools) == 1 else 's'}: {', '.join(tools)}" if tools else "no tools"
            text = f"started in {time.monotonic() - began:.1f} s, {listed}"
            found.append(Finding("ok" if tools else "warning", f"server {name}", text))
        return ExitCode.DONE

    try:
        asyncio.run(with_servers(ready, None, look, reporter, whole=False))
    except TinyAgentsError as error:
        return Finding("error", f"server {name}", error_message(error))
    return found[0]
