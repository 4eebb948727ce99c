"""A turn on a terminal that can redraw: frames, at most so many in a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from tiny_agents.cli.live.area import Drawn
from tiny_agents.cli.live.images import show_images
from tiny_agents.cli.live.screen import LiveScreen
from tiny_agents.cli.live.shelf import Shelf
from tiny_agents.cli.live.turn_lines import TurnLines
from tiny_agents.cli.live.typed_lines import typed_lines
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.screen.events import Aside, Event
from tiny_agents.cli.screen.render import ASKED_AGAIN, origin_words
from tiny_agents.cli.screen.terminal import Style
from tiny_agents.mcp_client.events import ServerEvent

FRAME_S = 1 / 20
REST = 4
"""After a frame that took long nothing is drawn for so many times as long: the turn comes first."""
TICK_S = 1 / 10


class LiveTurn:
    """Shows the events of one prompt; see `TurnLines` for what they look like.

    Pieces that come between two frames are drawn together, so a fast model costs no more than a slow one.
    """

    def __init__(
        self,
        screen: LiveScreen,
        shelf: Shelf,
        *,
        hidden_tools: Collection[str] = (),
        whose: Callable[[str], tuple[str, str] | None] = lambda _: None,
        unfolded: bool = False,
        status: Callable[[], str] = lambda: "",
        can_show: bool = True,
    ) -> None:
        self._screen = screen
        self._loop = asyncio.get_running_loop()
        self._lines = TurnLines(
            colour=screen.answer.colour,
            shelf=shelf,
            began=time.monotonic(),
            hidden=hidden_tools,
            whose=whose,
            unfolded=unfolded,
            status=status,
            images=show_images,
            can_show=can_show,
        )
        self._live: list[Drawn] = []
        self._columns = 0  # what they were drawn for
        self._typed: TypedAhead | None = None
        self._not_before = 0.0
        self._next: asyncio.TimerHandle | None = None
        self._drawn: asyncio.Future[None] | None = None  # set by the next frame, where somebody waits for it
        self._ended = False
        self._gone = False
        self._draw_within(0)

    @property
    def said(self) -> int:
        """Characters of text that the model said so far."""
        return self._lines.said

    def show(self, event: Event) -> None:
        """Take in an event, and draw it with the next frame."""
        self._lines.feed(event, time.monotonic())
        self._draw_within(0)

    def happened(self, event: ServerEvent) -> None:
        """The same for what happens at the servers."""
        self._lines.feed(event, time.monotonic())
        self._draw_within(0)

    def typing(self, typed: TypedAhead) -> None:
        """What is typed meanwhile is shown at once, below all else."""
        self._typed = typed
        if self._gone or self._ended or self._screen.is_held:
            return
        if self._columns != self._screen.columns:
            self._draw_within(0)
            return
        try:
            self._screen.redraw([], [*self._live, *self._typed_lines()], self._columns)
        except OSError:
            self._gone = True

    def _typed_lines(self) -> list[Drawn]:
        if self._typed is None:
            return []
        return typed_lines(self._typed, self._columns, colour=self._screen.answer.colour)

    def ask_again(self) -> None:
        """What was said is no answer after all: it has not the form that is wanted."""
        self.show(Aside(ASKED_AGAIN))

    async def settle(self, stop: asyncio.Event | None = None) -> None:
        """Nothing more comes: draw what isn't drawn yet, frame by frame, unless `stop` is set."""
        self._lines.end(time.monotonic())
        while self._lines.is_behind and not self._gone and not (stop is not None and stop.is_set()):
            self._drawn = self._loop.create_future()
            self._draw_within(0)
            await self._drawn

    def end(self) -> None:
        """The turn is over: what there is stays."""
        if self._ended:
            return
        self._ended = True
        if self._next is not None:
            self._next.cancel()
        self._screen.redraw(self._lines.rest(time.monotonic(), self._screen.columns), [])

    def hand_over(self, instead: str | None = None) -> None:
        """The answer was shown as it came."""

    def abandon(self) -> None:
        """What was said was shown as it came."""

    def say_origin(self) -> None:
        """One line on who wrote the answer, where the model said so."""
        if self._lines.origin is not None:
            self._screen.line(origin_words(self._lines.origin), Style.DIM)

    def _draw_within(self, seconds: float) -> None:
        at = max(self._loop.time() + seconds, self._not_before)
        if self._next is not None:
            if self._next.when() <= at:
                return
            self._next.cancel()
        self._next = self._loop.call_at(at, self._draw)

    def _draw(self) -> None:
        self._next = None
        if self._ended:
            return
        began = time.monotonic()
        try:
            if not self._screen.is_held:
                self._columns = self._screen.columns
                typed = self._typed_lines()
                stable, self._live = self._lines.take(began, self._columns, self._screen.rows - 2 - len(typed))
                self._screen.redraw(stable, [*self._live, *typed], self._columns)
        except OSError:  # the terminal is gone, which whoever writes the end of the turn finds out, too
            self._gone = True
            return
        finally:
            if self._drawn is not None and not self._drawn.done():
                self._drawn.set_result(None)
        cost = time.monotonic() - began
        if self._lines.is_behind:
            self._not_before = self._loop.time() + cost
            self._draw_within(0)
        else:
            self._not_before = self._loop.time() + max(FRAME_S, REST * cost)
            self._draw_within(TICK_S)
