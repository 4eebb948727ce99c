"""The command `tiny-agents`. Light: what a command needs is imported once it is known which one it is."""

from __future__ import annotations

import importlib
import io
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence

from tiny_agents.cli.arguments import parse
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter, guarded

Command = Callable[[Namespace, Reporter], int]

COMMANDS = {
    "run": "tiny_agents.cli.commands.run",
    "chat": "tiny_agents.cli.commands.chat",
    "list": "tiny_agents.cli.commands.list",
    "show": "tiny_agents.cli.commands.show",
    "lock": "tiny_agents.cli.commands.lock",
    "permissions": "tiny_agents.cli.commands.permissions",
    "trust": "tiny_agents.cli.commands.trust",
    "sessions": "tiny_agents.cli.commands.sessions",
    "config": "tiny_agents.cli.commands.config",
    "models": "tiny_agents.cli.commands.models",
    "completion": "tiny_agents.cli.commands.completion",
    "init": "tiny_agents.cli.commands.init",
    "doctor": "tiny_agents.cli.commands.doctor",
    "tools": "tiny_agents.cli.commands.tools",
    "call": "tiny_agents.cli.commands.call",
    "schema": "tiny_agents.cli.commands.schema",
    "validate": "tiny_agents.cli.commands.validate",
    "convert": "tiny_agents.cli.commands.convert",
    "login": "tiny_agents.cli.commands.login",
    "logout": "tiny_agents.cli.commands.logout",
}
"""Name of a command -> module whose `command(arguments)` does it and returns the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status (`exit_codes.ExitCode`).

    Args:
        argv: Arguments without the program's name; None takes them from the process.
    """
    _prepare_streams()
    return _flushed(guarded(lambda reporter: _do(argv, reporter)))


def _do(argv: Sequence[str] | None, reporter: Reporter) -> int:
    try:
        arguments = parse(argv)
    except SystemExit as done:  # --help, --version, or a flag that makes no sense
        return done.code if isinstance(done.code, int) else ExitCode.DONE
    reporter.debug = getattr(arguments, "debug", False)
    command: Command = importlib.import_module(COMMANDS[arguments.command]).command
    return command(arguments, reporter)


def _prepare_streams() -> None:
    """Have somewhere to write, and nothing that can't be written in the terminal's encoding."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the life of the process
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flushed(code: int) -> int:
    """Write out what is buffered. What can't be written makes a failure of a success; a reader that left is no news."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            # What is left in the buffer goes nowhere, so that the interpreter doesn't try again at its end, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            left = isinstance(error, BrokenPipeError)
            if not left and stream is sys.stdout:
                sys.stderr.write(f"error: can't write to standard output: {error.strerror}\n")
            if code == ExitCode.DONE:
                code = ExitCode.BROKEN_PIPE if left else ExitCode.FAILED
    return code
