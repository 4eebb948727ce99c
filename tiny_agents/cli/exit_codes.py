"""What the program's exit status means, and how an error becomes one line. Pure.

A definition or a flag that can't be used is `USAGE` as long as nothing was started; what goes wrong later is `FAILED`.
From 128 on the number of the signal is added, as shells do.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from enum import IntEnum

from tiny_agents.cli.screen.safe_text import neutralise
from tiny_agents.errors import (
    ConfigError,
    MissingCredentialsError,
    SessionNotFoundError,
    TinyAgentsError,
    UsageError,
    redact,
    redact_addresses,
)


class ExitCode(IntEnum):
    """Exit status of `tiny-agents`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    LIMIT = 3
    HANGUP = 129
    INTERRUPTED = 128 + signal.SIGINT
    BROKEN_PIPE = 141
    TERMINATED = 128 + signal.SIGTERM


class Left(BaseException):
    """The program was asked to leave, by a signal."""

    def __init__(self, code: ExitCode) -> None:
        self.code = code
        super().__init__(code.name)


USAGE_ERRORS = (UsageError, ConfigError, MissingCredentialsError, SessionNotFoundError)
"""Errors that the user mends by changing a flag, a file or a variable."""


def exit_code_before_start(error: BaseException) -> ExitCode:
    """The status for an error that came before any server or model was started."""
    return ExitCode.USAGE if isinstance(error, USAGE_ERRORS) else ExitCode.FAILED


def root_cause(error: BaseException) -> BaseException:
    """What really happened, where task groups wrapped it: their first error of ours, else their first error."""
    leaves = list(_leaves(error))
    return next((leaf for leaf in leaves if isinstance(leaf, TinyAgentsError)), leaves[0])


def _leaves(error: BaseException) -> Iterable[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def error_message(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """What to tell the user about `error`, without its traceback, fit for a terminal.

    An error that isn't one of ours is a defect of this program, and the message says so; an `OSError` that names what it
    was about (a full disk, say) speaks for itself.
    """
    cause = root_cause(error)
    if isinstance(cause, TinyAgentsError):
        text = str(cause) or type(cause).__name__
        if isinstance(cause, ConfigError) and cause.others:
            more = "1 more problem" if len(cause.others) == 1 else f"{len(cause.others)} more problems"
            text = f"{text} (and {more}: `tiny-agents validate` names all)"
    elif isinstance(cause, OSError) and cause.strerror:
        text = f"{cause.filename}: {cause.strerror}" if cause.filename else _unnamed(cause)
    else:
        text = (
            f"something unexpected went wrong inside tiny-agents ({type(cause).__name__}: {cause}). "
            "Please run it again with --debug and report what it prints."
        )
    return neutralise(redact_addresses(redact(text, secrets)))


def _unnamed(error: OSError) -> str:
    """In words what is wrong with a file that the error doesn't name."""
    if isinstance(error, FileNotFoundError):
        try:
            os.getcwd()
        except FileNotFoundError:
            return "the current folder isn't there any more: change to another one"
    return error.strerror or str(error)
