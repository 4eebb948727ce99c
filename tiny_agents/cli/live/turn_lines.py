"""Events of a turn -> lines that stay, and lines that still change. Pure but for the clock's value it is given.

lines = TurnLines(...)
lines.feed(event, now); stable, live = lines.take(now, columns, rows)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial, singledispatchmethod
from itertools import accumulate
from typing import NamedTuple

from tiny_agents.cli.live.area import Drawn, drawn, letters
from tiny_agents.cli.live.blocks import Block, BlockReader
from tiny_agents.cli.live.images import ShownImage
from tiny_agents.cli.live.markdown import MarkdownLines
from tiny_agents.cli.live.shelf import KeptResult, Shelf
from tiny_agents.cli.live.tool_block import Call, finished, interrupted, running, seconds, spinner
from tiny_agents.cli.screen.events import Aside, Event, Origin, Text, Thought, ToolCall, ToolResult
from tiny_agents.cli.screen.safe_text import one_line, wrapped
from tiny_agents.cli.screen.terminal import Style
from tiny_agents.mcp_client.events import ServerEvent, ToolAnswered, ToolProgress
from tiny_agents.mcp_client.results.results import ToolResult as ToolAnswer

THOUGHT_ROWS = 3
"""Rows of what the model thinks just now."""

FRAME_WORK = 4_000
"""Characters of finished text that one frame lays out, so that no frame takes long; what is left comes with the next."""
BLOCK_WORK = 250
"""What a block costs besides, in characters."""

Part = Callable[[int], list[Drawn]]
"""Something finished: columns -> its lines."""


class Waiting(NamedTuple):
    """Something finished that isn't shown yet.

    Attributes:
        work: What it costs to lay it out, in characters of text.
        said: Characters of the model's text in it.
    """

    part: Part
    work: int = BLOCK_WORK
    said: int = 0


class TurnLines:
    """One turn.

    Args:
        colour: Whether styles are wanted.
        shelf: Keeps what isn't shown whole.
        hidden: Tools that aren't shown.
        whose: Name of a tool as the model knows it -> server and tool, where there is such.
        unfolded: Show all that the model thinks.
        status: Words for the last line, while the turn goes on.
        images: Makes of a result what there is to show of its images.
        can_show: Whether the user can ask for the whole of something (/show, /reasoning).
        began: When it began, of the clock whose values `feed` and `take` are given.
    """

    def __init__(
        self,
        *,
        colour: bool,
        shelf: Shelf,
        began: float,
        hidden: Collection[str] = (),
        whose: Callable[[str], tuple[str, str] | None] = lambda _: None,
        unfolded: bool = False,
        status: Callable[[], str] = lambda: "",
        images: Callable[[ToolAnswer], Sequence[ShownImage]] = lambda _: (),
        can_show: bool = True,
    ) -> None:
        self.said = 0
        self.origin: str | None = None
        self._colour = colour
        self._shelf = shelf
        self._began = began
        self._hidden = frozenset(hidden)
        self._whose = whose
        self._unfolded = unfolded
        self._status = status
        self._images = images
        self._can_show = can_show
        self._markdown = MarkdownLines(colour=colour)
        self._parts: deque[Waiting] = deque()
        self._reader = BlockReader()
        self._gap = False  # a block of text was the last that stayed
        self._scrolled = 0  # lines of the unfinished block that stayed already
        self._scrolled_letters = 0  # what is in them, which tells where they end in lines of another length
        self._scrolled_for = 0  # columns
        self._thought: list[str] = []
        self._thought_line = ""  # of an unfolded thought, the line that isn't finished
        self._thinking_since: float | None = None
        self._calls: list[Call] = []

    # ---- events

    @singledispatchmethod
    def feed(self, event: Event | ServerEvent, now: float) -> None:
        """Take in what happened."""

    @feed.register
    def _(self, event: Text, now: float) -> None:
        self._end_thought(now)
        self.said += len(event.text)
        self._reader.feed(event.text)

    @feed.register
    def _(self, event: Thought, now: float) -> None:
        self._end_text()
        if self._thinking_since is None:
            self._thinking_since = now
        self._thought.append(event.text)
        if self._unfolded:
            *whole, self._thought_line = (self._thought_line + event.text).split("\n")
            self._parts += (self._dim(line) for line in whole)

    @feed.register
    def _(self, event: ToolCall, now: float) -> None:
        if event.name in self._hidden:
            return
        self._end_thought(now)
        self._end_text()
        origin = self._whose(event.name)
        self._calls.append(Call(event.id, ".".join(origin) if origin else event.name, event.arguments, now))

    @feed.register
    def _(self, event: ToolResult, now: float) -> None:
        if event.name in self._hidden or not self._calls:
            return
        call = self._calls.pop(0)  # results come in the order of the calls
        call.ended = call.ended or now
        if call.failed is None:
            call.failed = event.text.startswith("Error")
        text = event.text if call.failed or call.whole is None else call.whole
        kept = self._shelf.keep(KeptResult(call.name, call.arguments, text))
        number = kept if self._can_show else None
        self._parts.append(Waiting(lambda columns: finished(call, text, number, columns, colour=self._colour)))

    @feed.register
    def _(self, event: Aside, now: float) -> None:
        self._end_thought(now)
        self._end_text()
        self._parts.append(self._dim(event.text))

    @feed.register
    def _(self, event: Origin, now: float) -> None:
        self.origin = event.answer_from

    @feed.register
    def _(self, event: ToolProgress, now: float) -> None:
        name = f"{event.server}.{event.tool}"
        call = next((call for call in self._calls if call.name == name and call.ended is None), None)
        if call is not None:
            call.progress = event

    @feed.register
    def _(self, event: ToolAnswered, now: float) -> None:
        call = next((call for call in self._calls if call.id == event.call_id and call.ended is None), None)
        if call is not None:
            call.ended, call.failed = now, event.result.is_error
            call.whole = event.result.whole or event.result.text
            call.images = self._images(event.result)

    def end(self, now: float) -> None:
        """Nothing more comes: calls that still run are interrupted."""
        self._end_thought(now)
        self._end_text()
        for call in self._calls:
            self._parts.append(Waiting(partial(self._interrupted, call, now)))
        self._calls.clear()

    def _interrupted(self, call: Call, now: float, columns: int) -> list[Drawn]:
        return interrupted(call, now, columns, colour=self._colour)

    # ---- lines

    @property
    def is_behind(self) -> bool:
        """Whether something finished waits for the next frame."""
        return bool(self._parts)

    def take(self, now: float, columns: int, rows: int) -> tuple[list[Drawn], list[Drawn]]:
        """What stays from now on, each line once; and what is below it for now, in at most `rows` rows."""
        stable = self._taken(columns)
        room = max(rows - 1, 1)
        live = self._unfinished(stable, columns, room) if not self._parts else []
        if self._thinking_since is not None:
            live += self._thinking(now, columns)
        for index, call in enumerate(self._calls):
            lines = running(call, now, columns, colour=self._colour)
            if len(live) + len(lines) > room - 1:
                live.append(self._line(f"… and {len(self._calls) - index} more calls", Style.DIM))
                break
            live += lines
        live.append(self._line(self._status_line(now, columns), Style.DIM))
        return stable, live

    def rest(self, now: float, columns: int) -> list[Drawn]:
        """What is left, at the end. Of more than a frame can lay out the model's text is only counted."""
        self.end(now)
        lines = self._taken(columns)
        left_out = sum(waiting.said for waiting in self._parts)
        if left_out:
            lines += self._dim(f"… {left_out:,} more characters that came aren't shown.").part(columns)
        for waiting in self._parts:
            lines += waiting.part(columns) if not waiting.said else []
        self._parts.clear()
        return lines

    def _taken(self, columns: int) -> list[Drawn]:
        """Lines of what is finished, of about as much as a frame has time for."""
        lines: list[Drawn] = []
        work = 0
        while work < FRAME_WORK:
            if not self._parts:
                block = self._reader.take()
                if block is None:
                    break
                self._parts.append(self._block(block))
            waiting = self._parts.popleft()
            work += waiting.work
            lines += waiting.part(columns)
        if not self._parts and work >= FRAME_WORK and (block := self._reader.take()) is not None:
            self._parts.append(self._block(block))
        return lines

    def _unfinished(self, stable: list[Drawn], columns: int, room: int) -> list[Drawn]:
        """Lines of the block that isn't finished. Those that don't fit any more are added to `stable`."""
        block = self._reader.rest
        if not block.source:
            return []
        lines = self._with_gap(block, self._markdown.lines(block, columns, wrap_code=True))
        shown = lines[self._past(lines, columns) :]
        if (over := len(shown) - room) > 0:
            stable += shown[:over]
            self._scrolled += over
            self._scrolled_letters = sum(map(letters, lines[: self._scrolled]))
            self._scrolled_for = columns
        return shown[max(over, 0) :]

    def _block(self, block: Block) -> Waiting:
        def lines(columns: int) -> list[Drawn]:
            rendered = self._with_gap(block, self._markdown.lines(block, columns, wrap_code=self._scrolled > 0))
            past = self._past(rendered, columns)
            self._gap, self._scrolled = True, 0
            return rendered[past:]

        return Waiting(lines, BLOCK_WORK + len(block.source), len(block.source))

    def _past(self, lines: list[Drawn], columns: int) -> int:
        """How many lines of the unfinished block stayed already; of another width, those that are whole in what did."""
        if self._scrolled and columns != self._scrolled_for:
            totals = accumulate(map(letters, lines))
            self._scrolled = sum(total <= self._scrolled_letters for total in totals)
            self._scrolled_for = columns
        return self._scrolled

    def _with_gap(self, block: Block, lines: list[Drawn]) -> list[Drawn]:
        return [Drawn(""), *lines] if self._gap and lines and not block.follows else lines

    def _end_text(self) -> None:
        blocks = [self._block(block) for block in self._reader.end()]

        def no_gap(_: int) -> list[Drawn]:
            self._gap = False
            return []

        self._parts += [*blocks, Waiting(no_gap, 0)]

    def _end_thought(self, now: float) -> None:
        if self._thinking_since is None:
            return
        duration, self._thinking_since = now - self._thinking_since, None
        self._shelf.think(self._thought)
        count = sum(map(len, self._thought))
        self._thought.clear()
        if self._unfolded:
            if self._thought_line:
                self._parts.append(self._dim(self._thought_line))
            self._thought_line = ""
        else:
            self._parts.append(
                self._dim(
                    f"Thought for {seconds(duration)} ({count:,} characters{': /reasoning' if self._can_show else ''})"
                )
            )

    def _thinking(self, now: float, columns: int) -> list[Drawn]:
        """The end of what the model thinks."""
        tail = self._thought_line if self._unfolded else "".join(self._thought[-200:])
        lines = wrapped(tail.strip()[-columns * (THOUGHT_ROWS + 1) :], columns - 2)[-THOUGHT_ROWS:]
        return [self._line(f"  {line}", Style.DIM) for line in lines]

    def _dim(self, text: str) -> Waiting:
        return Waiting(
            lambda columns: [self._line(line, Style.DIM) for line in wrapped(text, columns)], BLOCK_WORK + len(text)
        )

    def _status_line(self, now: float, columns: int) -> str:
        doing = "thinking, " if self._thinking_since is not None else ""
        words = [f"{spinner(now)} {doing}{seconds(now - self._began)}", self._status(), "Ctrl+C stops"]
        return one_line(" · ".join(word for word in words if word), columns)

    def _line(self, text: str, style: Style) -> Drawn:
        return drawn(text, style, colour=self._colour)
