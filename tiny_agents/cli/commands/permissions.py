"""`tiny-agents permissions`: the tools that agents may call without a question, because somebody said "always"."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Mapping

from tiny_agents.agent.definition.document import did_you_mean
from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ConfigError


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents permissions list` or `revoke`."""
    set_up_diagnostics(reporter)
    return ACTIONS[arguments.action](arguments, reporter, PermissionAnswers.of_user())


def _list(_arguments: Namespace, reporter: Reporter, answers: PermissionAnswers) -> int:
    screen = Screen(sys.stdout, sys.stdout)
    for key, agent in answers.all().items():
        screen.line(f"{one_line(agent.name)} ({one_line(key)})", Style.BOLD)
        for tool, allowed in agent.tools.items():
            since = time.strftime("%Y-%m-%d", time.localtime(allowed.since))
            screen.line(f"  {one_line(tool)}, since {since}")
    if not answers.all():
        reporter.notice("No agent may call a tool for good; what is to be asked about is asked about each time.")
    return ExitCode.DONE


def _revoke(arguments: Namespace, reporter: Reporter, answers: PermissionAnswers) -> int:
    known = answers.all()
    wanted = arguments.agent
    chosen = [key for key, agent in known.items() if arguments.all or wanted in (key, agent.name)]
    if not chosen and not arguments.all:
        near = did_you_mean(wanted, [agent.name for agent in known.values()])
        raise ConfigError(
            f"nothing was allowed to the agent {wanted!r} for good{near}; `tiny-agents permissions list` shows to which"
        )
    answers.forget(chosen)
    count = sum(len(known[key].tools) for key in chosen)
    reporter.notice(f"{count} {'answer' if count == 1 else 'answers'} forgotten.")
    return ExitCode.DONE


Action = Callable[[Namespace, Reporter, PermissionAnswers], int]
ACTIONS: Mapping[str, Action] = {"list": _list, "revoke": _revoke}
