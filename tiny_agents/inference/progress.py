"""How far a download is: a callback, and the one that draws on the terminal."""

from __future__ import annotations

import sys
import time
from typing import Protocol, TextIO

REDRAW_S = 0.1
BAR_WIDTH = 24


class Progress(Protocol):
    """Told how far a download is.

    Called with the bytes that are there, the bytes there will be (None if nobody knows) and a line that says what is
    fetched. A line that is new is a new download or something the user should know. May be called from any thread.
    """

    def __call__(self, done: int, total: int | None, label: str, /) -> None: ...


class TerminalProgress:
    """Draws a bar that is redrawn in place; where `stream` is no terminal, says each line once and no more."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._label: str | None = None
        self._drawn_at = 0.0
        self._open_bar = False

    def __call__(self, done: int, total: int | None, label: str, /) -> None:
        if label != self._label:
            self._start(label)
        if not self._stream.isatty() or (total is None and done == 0):
            return
        now = time.monotonic()
        finished = total is not None and done >= total
        if now - self._drawn_at < REDRAW_S and not finished:
            return
        self._drawn_at = now
        self._stream.write("\r" + bar(done, total))
        self._open_bar = not finished
        if finished:
            self._stream.write("\n")
        self._stream.flush()

    def _start(self, label: str) -> None:
        if self._open_bar:
            self._stream.write("\n")
        self._label, self._open_bar, self._drawn_at = label, False, 0.0
        self._stream.write(label + "\n")
        self._stream.flush()


def bar(done: int, total: int | None) -> str:
    """`[#####-----] 45 of 98 MB`; only the amount where the total is unknown. Blanks at the end cover an older line."""
    if not total:
        return f"  {megabytes(done)}   "
    filled = min(BAR_WIDTH, BAR_WIDTH * done // total)
    return f"  [{'#' * filled}{'-' * (BAR_WIDTH - filled)}] {done / 1e6:.0f} of {megabytes(total)}   "


def megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 500_000 else f"{max(size, 1) / 1e3:.0f} kB"
