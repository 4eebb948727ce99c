"""`tiny-agents models`: weights of the embedded model on this machine: which there are, fetching and deleting them."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict

from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import leave_by_exception
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import UsageError
from tiny_agents.inference.local import is_available
from tiny_agents.inference.local.kept import delete, kept_weights
from tiny_agents.inference.local.weights import find_weights
from tiny_agents.inference.progress import TerminalProgress, megabytes


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents models`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    return ACTIONS[arguments.action or "list"](arguments, reporter)


def _list(arguments: Namespace, reporter: Reporter) -> int:
    weights = kept_weights(os.environ)
    if arguments.json:
        data = [{**asdict(each), "path": str(each.path)} for each in weights]
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return ExitCode.DONE
    screen = Screen(sys.stdout, sys.stdout)
    for each in weights:
        screen.line(one_line(each.name), Style.BOLD)
        state = "on this machine" if each.is_there else "not fetched: `tiny-agents models pull`"
        facts = [megabytes(each.size), f"licence {each.licence}" if each.licence else "licence: see its page", state]
        screen.line(f"  {', '.join(facts)}")
        screen.line(f"  {one_line(str(each.path))}", Style.DIM)
    if not is_available():
        reporter.notice("To run them: pip install 'tiny-agents[local]'")
    return ExitCode.DONE


def _pull(arguments: Namespace, _reporter: Reporter) -> int:
    found = find_weights(arguments.model, TerminalProgress())
    sys.stdout.write(f"{one_line(str(found.path))}\n")
    return ExitCode.DONE


def _remove(arguments: Namespace, reporter: Reporter) -> int:
    there = [each for each in kept_weights(os.environ) if each.is_there]
    chosen = [each for each in there if arguments.model in (each.name, each.path.name, str(each.path))]
    if not chosen:
        names = ", ".join(each.name for each in there) or "none"
        raise UsageError(f"{arguments.model!r} is not among the weights that are kept here: {names}")
    if len(chosen) > 1:
        paths = " or ".join(str(each.path) for each in chosen)
        raise UsageError(f"several are called {arguments.model!r}: write {paths}")
    delete(chosen[0])
    reporter.notice(f"Deleted {one_line(chosen[0].name)} ({megabytes(chosen[0].size)}).")
    return ExitCode.DONE


ACTIONS: Mapping[str, Callable[[Namespace, Reporter], int]] = {"list": _list, "pull": _pull, "rm": _remove}
