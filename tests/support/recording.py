"""Recordings of the real program in a terminal, in the format of asciinema (v2): what was on the screen, moment by moment.

with Recorder(cwd, env) as recorder:
    recorder.begin("first-run", "The first minute")
    recorder.shell("tiny-agents run ./trips")
    recorder.until(r"^> $")
    recorder.type("Hello", ENTER)
    casts = recorder.casts

A moment is recorded when something that was waited for can be seen, not when it was written, and what differs from one
run or machine to the next (ports, durations, names that were drawn) is replaced. So the same program makes the same
recording.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyte
from pyte.screens import Char

from tests.support.terminal import Terminal
from tiny_agents.cli.report import LOADING, STARTING

COLUMNS, LINES = 80, 24
KEY_S = 0.06
MOMENT_S = 0.5
SHELL_PROMPT = "$ "

_SLOW = re.compile(rf"{re.escape(LOADING)}|{re.escape(STARTING)}|  \d+\.\d s")
"""Lines that are there only where something takes long, which on a busy machine anything may."""

_VARYING = [
    (re.compile(r"127\.0\.0\.1:\d+"), "localhost:8080"),
    (re.compile(r"[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]"), "⠹"),
    (re.compile(r"\b\d+\.\d s\b"), "1.2 s"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "3f9c2a7b51d0"),
]

Cell = tuple[str, str]
"""A character and how it looks: the numbers of a "select graphic rendition"."""
Row = tuple[Cell, ...]

_COLOURS = {"black": 30, "red": 31, "green": 32, "brown": 33, "blue": 34, "magenta": 35, "cyan": 36, "white": 37}
_BRIGHT = {f"bright{name}": number + 60 for name, number in _COLOURS.items()} | {"brightyellow": 93}
_DIM = 90  # pyte knows no dim text: it is grey here


class DimScreen(pyte.Screen):
    """Shows dim text as grey."""

    def select_graphic_rendition(self, *attributes: int) -> None:
        super().select_graphic_rendition(*(_DIM if attribute == 2 else attribute for attribute in attributes))


@dataclass
class Cast:
    """A recording.

    Attributes:
        moments: What was drawn, and how many seconds after the one before.
        kept: Screens for those who read.
    """

    name: str
    title: str
    moments: list[tuple[float, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The file."""
        header = {
            "version": 2,
            "width": COLUMNS,
            "height": LINES,
            "title": self.title,
            "env": {"TERM": "xterm-256color"},
        }
        events: list[object] = [header]
        now = 0.0
        for pause, drawn in self.moments:
            now += pause
            events.append([round(now, 3), "o", drawn])
        return "".join(f"{json.dumps(event, ensure_ascii=False)}\n" for event in events)


class Recorder:
    """Runs commands one after the other in one terminal, and records."""

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self.casts: list[Cast] = []
        self._cwd, self._env = cwd, env
        self._screen = DimScreen(COLUMNS, LINES)
        self._drawn: list[Row] = []
        self._terminal: Terminal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._terminal is not None:
            self._terminal.__exit__(kind, error, traceback)

    # ---- what is recorded

    def begin(self, name: str, title: str) -> None:
        """From now on another recording, on an empty screen."""
        self.casts.append(Cast(name, title, [(0.0, "\x1b[?25l\x1b[2J")]))  # without the cursor, which is drawn last
        self._screen.erase_in_display(2)
        self._screen.cursor_position()
        if self._terminal is not None:
            self._terminal.type("\x0c")  # Ctrl+L: the prompt is drawn anew, at the top
            self._terminal.wait_for(r"\A>\n*.* · .*\Z")
        self._drawn = [()] * LINES

    def moment(self, pause_s: float = MOMENT_S) -> None:
        """What can be seen now."""
        rows = self._seen()
        written = "".join(
            f"\x1b[{number + 1};1H{_sequence(row)}\x1b[0m\x1b[K"
            for number, (row, before) in enumerate(zip(rows, self._drawn, strict=True))
            if row != before
        )
        cast = self.casts[-1]
        if written or pause_s > KEY_S:
            cast.moments.append((pause_s, written))
        self._drawn = rows

    def keep(self) -> None:
        """The screen of the last moment is one to be read."""
        rows = ["".join(character for character, _ in row).rstrip() for row in self._drawn]
        self.casts[-1].kept.append(re.sub(r"\n{3,}", "\n\n", "\n".join(rows).strip("\n")))

    # ---- what is done

    def shell(self, command: str) -> None:
        """Type a command at a shell's prompt, and have a shell run it."""
        start = self._cursor_row() + 1
        written = f"\x1b[{start};1H{SHELL_PROMPT}"
        for character in ["", *command]:
            self.casts[-1].moments.append((KEY_S, written + character))
            written = ""
        pyte.Stream(self._screen).feed(f"{SHELL_PROMPT}{command}\r\n")
        script = f"trap : INT; {command}"  # Ctrl+C is for the command, as in an interactive shell
        self._terminal = Terminal(
            ["/bin/sh", "-c", script], env=self._env, cwd=self._cwd, columns=COLUMNS, lines=LINES, screen=self._screen
        )

    def end(self) -> int:
        """Until the command has ended; its status. The shell's prompt is there again."""
        assert self._terminal is not None
        status = self._terminal.wait_for_exit()
        self._terminal.__exit__(None, None, None)
        self._terminal = None
        if self._screen.cursor.x:
            pyte.Stream(self._screen).feed("\r\n")
        self.moment()
        return status

    def until(self, pattern: str, pause_s: float = MOMENT_S) -> None:
        """Until it can be seen, which is a moment of the recording. It has to name what is drawn last."""
        self.wait(pattern)
        self.moment(pause_s)

    def wait(self, pattern: str) -> None:
        """The same, without recording it."""
        assert self._terminal is not None
        self._terminal.wait_for(pattern)

    def type(self, text: str, *more: str) -> None:
        """Type a text, letter by letter, each of which is a moment; then other keys."""
        assert self._terminal is not None
        start = cursor_at(self._screen)
        for number in range(1, len(text) + 1):
            self._terminal.type(text[number - 1])
            self._terminal.wait_until(
                lambda at=start + number: cursor_at(self._screen) == at, f"{text!r} did not appear"
            )
            self.moment(KEY_S)
        self.press(*more)

    def command(self, text: str) -> None:
        """Type a slash command and Enter. What is offered meanwhile isn't recorded: it comes when it comes."""
        row, column = self._cursor_row() + 1, cursor_at(self._screen) + 1
        self.casts[-1].moments += [
            (KEY_S, f"\x1b[{row};{column + number}H{character}") for number, character in enumerate(text)
        ]
        self.press(text)
        self.wait(rf"^> {re.escape(text)}$")
        self.press("\r")

    def press(self, *keys: str) -> None:
        """Press keys; what comes of it has to be waited for."""
        assert self._terminal is not None
        for key in keys:
            self._terminal.type(key)

    # ---- the screen

    def _seen(self) -> list[Row]:
        """The rows, without what varies."""
        rows = [self._row(number) for number in range(LINES)]
        texts = ["".join(character for character, _ in row).rstrip() for row in rows]
        kept = [_steady(row) for row, text in zip(rows, texts, strict=True) if not _SLOW.fullmatch(text)]
        foot = LINES - 1 if texts[-1] else LINES  # the line below the prompt stays where it is
        kept[foot - LINES + len(kept) : foot - LINES + len(kept)] = [()] * (LINES - len(kept))
        return kept

    def _cursor_row(self) -> int:
        above = self._screen.display[: self._screen.cursor.y]
        return int(self._screen.cursor.y) - sum(_SLOW.fullmatch(line.rstrip()) is not None for line in above)

    def _row(self, number: int) -> Row:
        line = self._screen.buffer[number]
        cells = [(line[column].data, _style(line[column])) for column in range(COLUMNS) if line[column].data]
        while cells and cells[-1] == (" ", ""):
            cells.pop()
        return tuple(cells)


def cursor_at(screen: pyte.Screen) -> int:
    """Its column."""
    return int(screen.cursor.x)


def _steady(row: Row) -> Row:
    """A row without what varies; what is put in its place looks like it."""
    for pattern, instead in _VARYING:
        text = "".join(character for character, _ in row)
        cells: list[Cell] = []
        end = 0
        for found in pattern.finditer(text):
            cells += [*row[end : found.start()], *((character, row[found.start()][1]) for character in instead)]
            end = found.end()
        row = (*cells, *row[end:])
    return row


def _style(cell: Char) -> str:
    numbers: list[int] = [
        number
        for number, on in (
            (1, cell.bold),
            (3, cell.italics),
            (4, cell.underscore),
            (7, cell.reverse),
            (9, cell.strikethrough),
        )
        if on
    ]
    colour = (_COLOURS | _BRIGHT).get(cell.fg)
    return ";".join(map(str, [*numbers, *([colour] if colour is not None else [])]))


def _sequence(row: Sequence[Cell]) -> str:
    """A row as it is written to a terminal."""
    written, style = [], ""
    for character, looks in row:
        if looks != style:
            written.append(f"\x1b[0;{looks}m" if looks else "\x1b[0m")
            style = looks
        written.append(character)
    return "".join(written)


def environment_for(folder: Path, **more: str) -> dict[str, str]:
    """A machine on which nothing but the program is installed."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    own: dict[str, Any] = {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / ".data"),
        "XDG_CACHE_HOME": str(folder / ".cache"),
        "XDG_CONFIG_HOME": str(folder / ".config"),
        "TERM": "xterm-256color",
    }
    return {**keep, **own, **more}
