"""The program's own words when something goes wrong: one line, or with --debug everything, never a secret."""

from __future__ import annotations

import errno
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from tiny_agents.cli.exit_codes import ExitCode, Left, error_message, exit_code_before_start, root_cause
from tiny_agents.cli.screen.safe_text import neutralise, wrapped
from tiny_agents.cli.screen.terminal import Style, abilities, styled
from tiny_agents.errors import ServerError, redact, redact_addresses

SAME_WARNINGS = 3
"""How often warnings of one kind about one server are shown: one that writes nonsense does it all the time. --debug shows
all."""

SLOW_S = 2.0
"""Seconds of silence before we say what is going on."""
LOADING = "Still loading the agent; Ctrl+C leaves."
STARTING = "Waiting for the servers to start; Ctrl+C leaves."


Listener = Callable[[str, str, BaseException | None], None]


class Reporter:
    """Prints errors, warnings and notices on standard error.

    Attributes:
        debug: Also print tracebacks.
        secrets: Texts that must never be printed; commands add the keys they learn.
        before_line: Called before a line is printed: it may have to end a line on the same terminal.
        quiet: Holds back what others write to the terminal, while somebody types an answer.
        only_errors: Print neither warnings nor notices.
        listener: Is told all of it, too: its kind ("error", "warning" or nothing), the text and the error.
    """

    def __init__(self) -> None:
        self.debug = False
        self.secrets: list[str] = []
        self.before_line: Callable[[], None] = _nothing
        self.quiet: Callable[[], AbstractContextManager[None]] = nullcontext
        self.only_errors = False
        self.listener: Listener | None = None
        self._held: list[str] | None = None

    def error(self, error: BaseException) -> None:
        """Say what went wrong; with `debug`, where."""
        if self.debug:
            said = redact_addresses(redact("".join(traceback.format_exception(error)), self.secrets))
            self._print(neutralise(said).rstrip("\n"))
        self._say("error", error_message(error, self.secrets), Style.ERROR, error)

    def warning(self, what: BaseException | str) -> None:
        """Say what is odd, but not wrong enough to stop."""
        text = what if isinstance(what, str) else error_message(what)
        self._say("warning", neutralise(redact(text, self.secrets)), Style.WARNING)

    def notice(self, text: str) -> None:
        """Say what is going on."""
        self._say("", neutralise(redact(text, self.secrets)), Style.DIM)

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """While the user types, lines wait: they would end up in what is typed."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for line in held:
                self._print(line)

    @contextmanager
    def notice_if_slow(self, text: str) -> Iterator[None]:
        """Say what is going on if what is done here, blocking, takes longer than a moment."""
        timer = threading.Timer(SLOW_S, self.notice, (text,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _say(self, kind: str, text: str, style: Style, error: BaseException | None = None) -> None:
        if self.listener is not None:
            self.listener(kind, text, error)
        if self.only_errors and kind != "error":
            return
        screen = abilities(sys.stderr, os.environ)
        if screen.is_terminal:
            text = "\n".join(wrapped(f"{kind}: {text}" if kind else text, screen.columns - 1))
            text = text.removeprefix(f"{kind}: ")
        self._print(
            f"{styled(kind + ':', style, screen.colour)} {text}" if kind else styled(text, style, screen.colour)
        )

    def _print(self, line: str) -> None:
        if self._held is not None:
            self._held.append(line)
            return
        try:
            self.before_line()
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            pass  # the terminal is gone: there is nobody left to tell, and the exit status still says it


def _nothing() -> None: ...


def guarded(work: Callable[[Reporter], int]) -> int:
    """Do `work`; whatever ends it early becomes one line on standard error and an exit status."""
    reporter = Reporter()
    return outcome(reporter, lambda: work(reporter))


def outcome(reporter: Reporter, work: Callable[[], int]) -> int:
    """The exit status of `work`. What ends it early is told to `reporter`."""
    try:
        return work()
    except Left as left:
        return left.code
    except KeyboardInterrupt:
        if sys.stderr.isatty():
            sys.stderr.write("\n")  # below the ^C that the terminal shows behind a question
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the outermost border of the program: nothing may pass it as a traceback
        if terminal_is_gone(error):
            return ExitCode.HANGUP
        reporter.error(error)
        return exit_code_before_start(root_cause(error))


def terminal_is_gone(error: BaseException) -> bool:
    """Whether `error` says that there is no terminal behind our streams any more."""
    return isinstance(error, OSError) and error.errno == errno.EIO


def set_up_diagnostics(reporter: Reporter) -> None:
    """Decide what of the log reaches the screen: with `debug` everything, else our own warnings as lines of ours.

    What libraries log, warn of, or complain about while their objects are collected is of no use to who can't change
    their code; --debug shows it.
    """
    import logging
    import warnings
    from collections import Counter

    class Redacting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return neutralise(redact_addresses(redact(super().format(record), reporter.secrets)))

    class Warnings(logging.Handler):
        told: Counter[tuple[str, str]] = Counter()

        def emit(self, record: logging.LogRecord) -> None:
            if any(isinstance(value, ServerError) for value in record.args or ()):
                return  # the command tells these itself
            kind = (record.msg, str(record.args[0]) if isinstance(record.args, tuple) and record.args else "")
            self.told[kind] += 1
            if self.told[kind] <= SAME_WARNINGS:
                reporter.warning(record.getMessage())

    if reporter.debug:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
        logging.captureWarnings(True)
        for name in ("tiny_agents", "mcp", "asyncio"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        return
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger("tiny_agents").addHandler(Warnings(logging.WARNING))
    sys.unraisablehook = lambda _: None
