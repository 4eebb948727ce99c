"""A conversation in the terminal: read a prompt, show the turn, again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from tiny_agents.agent.agent import Agent
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import Interrupts
from tiny_agents.cli.report import Reporter, terminal_is_gone
from tiny_agents.cli.terminal import Screen, Style
from tiny_agents.cli.turns import TurnView, kept, show_turn, stop_notice


class Lines(Protocol):
    """Where prompts come from: see `line_editor.LineEditor`."""

    async def read(self) -> str: ...

    def was_empty(self) -> bool: ...


class Conversation:
    """Talks to `agent` until the user leaves.

    Args:
        view: Makes what shows a turn.
    """

    def __init__(
        self,
        agent: Agent,
        lines: Lines,
        screen: Screen,
        interrupts: Interrupts,
        reporter: Reporter,
        view: Callable[[], TurnView],
    ) -> None:
        self._agent = agent
        self._lines = lines
        self._screen = screen
        self._interrupts = interrupts
        self._reporter = reporter
        self._view = view
        self._hush: Callable[[], None] = lambda: None

    async def run(self) -> ExitCode:
        """Prompt after prompt. DONE at Ctrl+D, INTERRUPTED at Ctrl+C twice on an empty line."""
        self._interrupts.leave_when_idle = False
        with quiet_keyboard() as self._hush:
            return await self._talk()

    async def _talk(self) -> ExitCode:
        about_to_leave = False
        while True:
            try:
                with self._reporter.holding_back():
                    text = await self._lines.read()
            except EOFError:
                return ExitCode.DONE
            except KeyboardInterrupt:
                if about_to_leave and self._lines.was_empty():
                    return ExitCode.INTERRUPTED
                about_to_leave = self._lines.was_empty()
                if about_to_leave:
                    self._screen.line("Ctrl+C again leaves, and so does Ctrl+D.", Style.DIM)
                continue
            finally:
                self._interrupts.listen()  # the line editor took Ctrl+C for itself
            about_to_leave = False
            if text.strip():
                await self._turn(text)
                self._screen.line()

    async def _turn(self, text: str) -> None:
        """One prompt. Whatever goes wrong in it, the conversation goes on; only a terminal that is gone ends it."""
        self._hush()
        before = len(self._agent.messages)
        abort = asyncio.Event()
        view = self._view()
        try:
            with self._interrupts.stopping(abort):
                await show_turn(self._agent, self._agent.run(text, abort_event=abort), view)
        except Exception as error:
            if isinstance(error, BrokenPipeError) or terminal_is_gone(error):
                raise
            self._reporter.error(error)
            self._screen.line("The conversation goes on; the up arrow brings your prompt back.", Style.DIM)
            return
        view.say_origin()
        if self._agent.stop_reason == "aborted":
            self._screen.line(f"Stopped. {kept(self._agent.messages[before:], view.said)}", Style.WARNING)
        elif notice := stop_notice(self._agent):
            self._screen.line(notice, Style.WARNING)


@contextmanager
def quiet_keyboard() -> Iterator[Callable[[], None]]:
    """While no line is being edited, keys aren't echoed into the middle of an answer but wait for the next prompt.

    Gives a function that makes it so again: a shell that the program was suspended to may have changed it. Ctrl+C and
    Ctrl+Z stay signals. The terminal is given back as it was.
    """
    if sys.platform == "win32":
        yield lambda: None
    else:
        import termios

        def hush() -> None:
            with suppress(termios.error, OSError):  # the terminal is gone; whoever writes to it next will notice
                mode = termios.tcgetattr(fd)
                mode[0] &= ~termios.ICRNL  # Enter stays Enter
                mode[3] &= ~(termios.ECHO | termios.ICANON)
                termios.tcsetattr(fd, termios.TCSANOW, mode)

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        hush()
        try:
            yield hush
        finally:
            with suppress(termios.error, OSError):
                termios.tcsetattr(fd, termios.TCSANOW, before)
