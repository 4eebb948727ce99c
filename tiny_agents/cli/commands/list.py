"""`tiny-agents list`: the bundled agents, what each does and needs."""

from __future__ import annotations

import sys
from argparse import Namespace

from tiny_agents.agent.definition.loading import bundled_agents
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style


def command(_arguments: Namespace, _reporter: Reporter) -> int:
    """Show the agents that come with the package."""
    screen = Screen(sys.stdout, sys.stdout)
    for number, definition in enumerate(bundled_agents()):
        if number:
            screen.line()
        _show(screen, definition)
    return ExitCode.DONE


def _show(screen: Screen, definition: AgentDefinition) -> None:
    screen.line(one_line(definition.name), Style.BOLD)
    if definition.description:
        screen.line(f"  {one_line(definition.description)}")
    for need in definition.requires:
        screen.line(f"  needs: {one_line(need)}", Style.DIM, hang=2)
    for problem in missing_requirements(definition):
        screen.line(f"  missing here: {one_line(problem)}", Style.WARNING, hang=2)
