"""`tiny-agents validate`: everything that is wrong with definitions, a line each."""

from __future__ import annotations

import sys
from argparse import Namespace

from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.cli.exit_codes import ExitCode, error_message
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ConfigError, redact


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Look at each, say what was found; the status is that of the worst."""
    set_up_diagnostics(reporter)
    screen = Screen(sys.stdout, sys.stdout)
    code = ExitCode.DONE
    for ref in arguments.agent:
        found = validate_definition(ref, allow_paths=arguments.allow_path)
        for error in found.errors:
            screen.line(f"error: {_alone(error)}", Style.ERROR)
            code = ExitCode.USAGE
        for warning in found.warnings:
            screen.line(f"warning: {one_line(redact(warning))}", Style.WARNING)
        if found.definition is not None and not found.errors:
            screen.line(f"{one_line(str(ref))}: no errors ({_summary(found.definition)})")
    return code


def _alone(error: ConfigError) -> str:
    error.others = ()  # each of them has a line of its own
    return error_message(error)


def _summary(definition: AgentDefinition) -> str:
    parts = [f"agent {one_line(definition.name)}"]
    for count, what in ((len(definition.servers), "server"), (len(definition.inputs), "input")):
        parts.append(f"{count} {what}{'' if count == 1 else 's'}")
    return ", ".join(parts)
