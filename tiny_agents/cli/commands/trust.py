"""`tiny-agents trust`: the downloaded agents that may start unasked; add one, take one back."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping

from tiny_agents.agent.definition.document import did_you_mean
from tiny_agents.agent.definition.reference import hub_reference
from tiny_agents.agent.definition.trust import TrustStore, as_it_is
from tiny_agents.agent.locking import load_as_locked
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.prompt.prompts import is_terminal
from tiny_agents.cli.report import LOADING, Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ConfigError, UsageError


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents trust list`, `add` or `revoke`."""
    set_up_diagnostics(reporter)
    return ACTIONS[arguments.action](arguments, reporter, TrustStore.of_user())


def _list(_arguments: Namespace, reporter: Reporter, store: TrustStore) -> int:
    screen = Screen(sys.stdout, sys.stdout)
    answers = store.answers()
    for answer in answers.values():
        screen.line(one_line(_name(answer.name, answer.address)), Style.BOLD)
        screen.line(f"  trusted on {one_line(answer.on)}, at revision {one_line(answer.commit[:12])}", Style.DIM)
        for line in answer.consequences:
            screen.line(f"  {one_line(line)}")
    if not answers:
        reporter.notice("No downloaded agent is trusted; each is asked about when it starts.")
    return ExitCode.DONE


def _name(name: str, address: str) -> str:
    """The short name; with the Hub, where that isn't Hugging Face's."""
    _, at, hub = address.partition(" at ")
    return f"{name}{at}{hub}"


def _add(arguments: Namespace, reporter: Reporter, store: TrustStore) -> int:
    # Where a lock pins a revision, that is the one that runs.
    with reporter.notice_if_slow(LOADING):
        definition, _ = load_as_locked(arguments.agent, "warn", allow_paths=arguments.allow_path, warn=reporter.warning)
    if definition.origin is None:
        raise UsageError(f"{arguments.agent} is on this machine already; only downloaded agents are asked about")
    if arguments.yes:
        store.remember(as_it_is(definition, definition.origin))
    else:
        can_ask = is_terminal(sys.stdin) and is_terminal(sys.stderr)
        require_trust(definition, store, can_ask=can_ask, warn=reporter.warning, always=True)
    reporter.notice(f"{one_line(definition.name)} is trusted as it is now (revision {definition.origin.commit[:12]}).")
    return ExitCode.DONE


def _revoke(arguments: Namespace, reporter: Reporter, store: TrustStore) -> int:
    answers = store.answers()
    if arguments.all:
        chosen = list(answers)
    else:
        reference = hub_reference(arguments.agent)
        wanted = {arguments.agent} if reference is None else {arguments.agent, reference.address, reference.name}
        chosen = [a.address for a in answers.values() if wanted & {a.name, a.address, a.address.partition(" at ")[0]}]
        if not chosen:
            near = did_you_mean(arguments.agent, [answer.name for answer in answers.values()])
            raise ConfigError(
                f"the agent {arguments.agent!r} isn't trusted{near}; `tiny-agents trust list` shows which are"
            )
    store.revoke(chosen)
    reporter.notice(f"{len(chosen)} {'answer' if len(chosen) == 1 else 'answers'} forgotten.")
    return ExitCode.DONE


Action = Callable[[Namespace, Reporter, TrustStore], int]
ACTIONS: Mapping[str, Action] = {"list": _list, "add": _add, "revoke": _revoke}
