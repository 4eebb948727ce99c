"""The command `tiny-agents`. Light: what a command needs is imported once it is known which one it is."""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False  # see tiny_agents/__init__.py
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from typing import TextIO

    from tiny_agents.cli.report import Reporter

    Command = Callable[[Namespace, Reporter], int]

DONE, FAILED, BROKEN_PIPE = 0, 1, 141
"""Those of `exit_codes.ExitCode` that are needed before it is."""

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
    "test": "tiny_agents.cli.commands.test",
    "login": "tiny_agents.cli.commands.login",
    "logout": "tiny_agents.cli.commands.logout",
}
"""Name of a command -> module whose `command(arguments)` does it and returns the exit status."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status (`exit_codes.ExitCode`).

    Args:
        argv: Arguments without the program's name; None takes them from the process.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    _prepare_streams()
    if words in (["--help"], ["-h"]):
        return _flushed(_printed(_help()))
    if words == ["--version"]:
        return _flushed(_printed(_version()))
    from tiny_agents.cli.report import guarded

    return _flushed(guarded(lambda reporter: _do(words, reporter)))


def _do(words: Sequence[str], reporter: Reporter) -> int:
    import importlib

    from tiny_agents.cli.arguments import parse

    try:
        arguments = parse(words)
    except SystemExit as done:  # the help of a command, or a flag that makes no sense
        return done.code if isinstance(done.code, int) else DONE
    reporter.debug = getattr(arguments, "debug", False)
    command: Command = importlib.import_module(COMMANDS[arguments.command]).command
    return command(arguments, reporter)


def _help() -> str:
    """What the parser would print; kept as a file, which is there before a parser is built. A test keeps it fresh."""
    with open(os.path.join(os.path.dirname(__file__), "help.txt"), encoding="utf-8") as file:
        return file.read()


def _version() -> str:
    from tiny_agents import __version__

    return f"tiny-agents {__version__}\n"


def _printed(text: str) -> int:
    try:
        sys.stdout.write(text)
    except OSError as error:
        return _unwritten(error, sys.stdout)
    return DONE


def _prepare_streams() -> None:
    """Have somewhere to write, and nothing that can't be written in the terminal's encoding."""
    for number in range(3):  # else the next file that is opened would be taken for what is closed, here and by servers
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
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
            failure = _unwritten(error, stream)
            if code == DONE:
                code = failure
    return code


def _unwritten(error: OSError, stream: TextIO) -> int:
    """The status for a stream that can't be written to, which is said unless nobody reads it any more."""
    # What is left in the buffer goes nowhere, so that the interpreter doesn't try again at its end, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if isinstance(error, BrokenPipeError):
        return BROKEN_PIPE
    if stream is sys.stdout:
        sys.stderr.write(f"error: can't write to standard output: {error.strerror}\n")
    return FAILED
