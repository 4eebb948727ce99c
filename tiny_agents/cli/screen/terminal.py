"""The two streams a command writes to, and what the terminal behind each can do."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple, TextIO

from tiny_agents.cli.screen.safe_text import neutralise, wrapped


class Style(Enum):
    """How text looks where colours are wanted: ANSI "select graphic rendition" parameters."""

    PLAIN = ""
    DIM = "2"
    BOLD = "1"
    TOOL = "36"
    WARNING = "33"
    ERROR = "31"


class Abilities(NamedTuple):
    """What a stream can show.

    Attributes:
        is_terminal: A person may be looking.
        colour: Escape sequences are understood and wanted.
        columns: Width; 80 where unknown.
        redraws: The cursor can be moved, so that what was written can be written anew.
    """

    is_terminal: bool = False
    colour: bool = False
    columns: int = 80
    redraws: bool = False


def abilities(stream: TextIO, env: Mapping[str, str]) -> Abilities:
    """What `stream` can show, given the environment (`NO_COLOR`, `TERM`)."""
    if not stream.isatty():
        return Abilities()
    redraws = env.get("TERM") != "dumb" and _understands_escapes(stream)
    colour = redraws and not env.get("NO_COLOR")
    return Abilities(True, colour, max(shutil.get_terminal_size().columns, 20), redraws)


def _understands_escapes(stream: TextIO) -> bool:
    """Every POSIX terminal does; on Windows the console has to be asked to."""
    if sys.platform == "win32":
        import ctypes
        import msvcrt

        enable_virtual_terminal_processing = 0x0004
        kernel32 = ctypes.windll.kernel32
        handle = msvcrt.get_osfhandle(stream.fileno())
        mode = ctypes.c_ulong()
        if not kernel32.GetConsoleMode(handle, ctypes.byref(mode)):
            return False
        return bool(kernel32.SetConsoleMode(handle, mode.value | enable_virtual_terminal_processing))
    else:  # noqa: RET505 - a type checker reads only the branch of its platform
        return True


def rewraps(env: Mapping[str, str]) -> bool:
    """Whether the terminal wraps its lines anew when its width changes, as most do; else it cuts them off.

    xterm, the console of Linux and GNU screen cut. Over ssh xterm can't be told from others.
    """
    name = env.get("TERM", "")
    return not (env.get("XTERM_VERSION") or name in ("linux", "xterm") or (env.get("STY") and not env.get("TMUX")))


def styled(text: str, style: Style, colour: bool) -> str:
    """`text` in `style`, or as it is where colours aren't wanted."""
    return f"\x1b[{style.value}m{text}\x1b[0m" if colour and style.value and text else text


def _send_to_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Screen:
    """Writes the answer to one stream and everything else to another, and keeps their lines apart on one terminal.

    In a conversation both are the same terminal. In one-shot use the answer goes to standard output, so that it can be
    piped or saved, and the rest to standard error.
    """

    def __init__(self, answer: TextIO, aside: TextIO, *, env: Mapping[str, str] | None = None) -> None:
        env = os.environ if env is None else env
        self._answer_stream = answer
        self._aside_stream = aside
        self.answer = abilities(answer, env)
        self.aside = abilities(aside, env)
        self._mid_line: TextIO | None = None  # the stream whose last line is unfinished
        self._held: list[tuple[TextIO, str]] | None = None

    def text(self, text: str) -> None:
        """Write a piece of the answer as it comes; what a terminal would obey is neutralised."""
        self._piece(self._answer_stream, neutralise(text) if self.answer.is_terminal else text, Style.PLAIN)

    def aside_text(self, text: str, style: Style = Style.DIM) -> None:
        """Write a piece of running text that isn't the answer."""
        self._piece(self._aside_stream, neutralise(text), style)

    def line(self, text: str = "", style: Style = Style.PLAIN, *, hang: int = 0) -> None:
        """Write whole lines that aren't the answer, below whatever was written last; a terminal's break between words.

        Args:
            hang: Columns by which a line goes on further to the right.
        """
        self.fresh_line()
        is_terminal = self.aside.is_terminal
        room = self.aside.columns - 1
        lines = wrapped(text, room, indent=" " * hang) if is_terminal else neutralise(text).split("\n")
        shown = "\n".join(styled(line, style, self.aside.colour) for line in lines)
        self._write(self._aside_stream, shown + "\n")

    def fresh_line(self) -> None:
        """End the line that is being written, if there is one."""
        if self._mid_line is not None:
            stream, self._mid_line = self._mid_line, None
            self._write(stream, "\n")

    def _piece(self, stream: TextIO, text: str, style: Style) -> None:
        if not text:
            return
        if self._mid_line not in (None, stream):
            self.fresh_line()
        colour = self.aside.colour if stream is self._aside_stream else self.answer.colour
        self._write(stream, styled(text, style, colour))
        self._mid_line = None if text.endswith("\n") else stream

    @contextmanager
    def holding_back(self) -> Iterator[None]:
        """While somebody types an answer, what is written waits: it would end up in the line that is typed."""
        self._held = []
        try:
            yield
        finally:
            held, self._held = self._held, None
            for stream, text in held:
                self._write(stream, text)

    def _write(self, stream: TextIO, text: str) -> None:
        if self._held is not None:
            self._held.append((stream, text))
            return
        try:
            stream.write(text)
            stream.flush()
        except OSError:
            if stream is self._answer_stream or self.aside.is_terminal:
                raise
            _send_to_nowhere(stream)  # nobody reads what is beside the answer, which comes all the same
