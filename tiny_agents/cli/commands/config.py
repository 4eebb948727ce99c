"""`tiny-agents config`: your defaults."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import asdict

from tiny_agents.cli.config import KEYS, config_path, read_config, set_value
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents config`."""
    return ACTIONS[arguments.action or "show"](arguments, reporter)


def _path(_arguments: Namespace, _reporter: Reporter) -> int:
    sys.stdout.write(f"{one_line(str(config_path(os.environ)))}\n")
    return ExitCode.DONE


def _show(arguments: Namespace, reporter: Reporter) -> int:
    values = {key: value for key, value in asdict(read_config()).items() if value is not None}
    if arguments.json:
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
        return ExitCode.DONE
    screen = Screen(sys.stdout, sys.stdout)
    for key, (_, about) in KEYS.items():
        if key in values:
            screen.line(f"{key} = {one_line(json.dumps(values[key], ensure_ascii=False))}")
        else:
            screen.line(f"# {key}: {about}", Style.DIM, hang=4)
    reporter.notice(f"{one_line(str(config_path(os.environ)))}")
    return ExitCode.DONE


def _set(arguments: Namespace, reporter: Reporter) -> int:
    path = set_value(arguments.key, arguments.value)
    reporter.notice(f"{one_line(str(path))}: {arguments.key} is set.")
    return ExitCode.DONE


def _unset(arguments: Namespace, reporter: Reporter) -> int:
    path = set_value(arguments.key, None)
    reporter.notice(f"{one_line(str(path))}: {arguments.key} is not set.")
    return ExitCode.DONE


ACTIONS: Mapping[str, Callable[[Namespace, Reporter], int]] = {
    "path": _path,
    "show": _show,
    "set": _set,
    "unset": _unset,
}
