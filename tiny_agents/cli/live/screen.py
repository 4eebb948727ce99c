"""A terminal whose last rows are drawn again and again while a turn goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from tiny_agents.cli.live.area import Drawn, erased, frame, rows_of
from tiny_agents.cli.screen.terminal import Screen, rewraps

MIN_COLUMNS = 20
MIN_ROWS = 4


class LiveScreen(Screen):
    """As `Screen`, with rows at the bottom that change. Whatever else is written comes above them, in their place."""

    def __init__(self, answer: TextIO, aside: TextIO, *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(answer, aside, env=env)
        self._rewraps = rewraps(os.environ if env is None else env)
        self._live: list[Drawn] = []
        self._drawn_for = 0  # columns

    @property
    def columns(self) -> int:
        """Width at this moment; the last column stays free, so that no terminal wraps before we do."""
        return max(shutil.get_terminal_size().columns, MIN_COLUMNS) - 1

    @property
    def rows(self) -> int:
        return max(shutil.get_terminal_size().lines, MIN_ROWS)

    @property
    def is_held(self) -> bool:
        """Whether somebody is typing an answer."""
        return self._held is not None

    def redraw(self, stable: Sequence[Drawn], live: Sequence[Drawn], columns: int | None = None) -> None:
        """Add lines that stay, and have `live` below them, in as few rows as differ.

        Args:
            columns: What `live` was made for. If the window has another width by now it is left out, until it comes anew:
                nobody could say how many rows it takes.
        """
        if self._held is not None:
            if stable:
                self._held.append((self._answer_stream, "".join(f"{line}\n" for line in stable)))
            return
        now = self.columns
        if not self._live:
            super().fresh_line()
        elif self._drawn_for != now:
            self._wipe()
        shown = list(live[-(self.rows - 2) :]) if columns in (None, now) else []
        written = frame(self._live, [*stable, *shown])
        if not shown and (stable or self._live):
            written += "\n" if stable else ""
        self._live, self._drawn_for = shown, now
        if written:
            self._answer_stream.write(written)
            self._answer_stream.flush()

    def fresh_line(self) -> None:
        self._wipe()
        super().fresh_line()

    def _wipe(self) -> None:
        if self._live:
            rows = rows_of(self._live, self.columns + 1) if self._rewraps else len(self._live)
            self._live = []
            self._answer_stream.write(erased(rows))
            self._answer_stream.flush()
