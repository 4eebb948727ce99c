"""Events of a turn -> text on the screen.

A tool call is one block: the call on a line of its own, below it the start of its result, indented, so that nothing a
server sends can look like a line of this program.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from functools import singledispatchmethod

from tiny_agents.cli.live.shelf import KeptResult, Shelf
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.screen.events import Aside, Event, Origin, Text, Thought, ToolCall, ToolResult
from tiny_agents.cli.screen.safe_text import one_line, shorten
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.mcp_client.events import ServerEvent

RESULT_LINES = 8
ARGUMENT_COLUMNS = 400
READABLE_CHARS = 20_000
INDENT = "  "

ORIGINS = {
    "model": "This sentence is the model's own, made from the tool's result.",
    "tool": "This is the tool's own result: the model's sentence about it did not hold.",
    "refusal": "No tool was asked: the embedded model could not tell which one, or what to ask it.",
}


ASKED_AGAIN = "That is not in the form that is wanted: the model is asked again."


class TurnRenderer:
    """Shows the events of one prompt.

    Args:
        screen: Where to.
        shelf: Keeps what isn't shown whole, where somebody can ask for it.
        hidden_tools: Tools of the agent loop itself; calls to them aren't shown.

    On a terminal the model's text is shown as it comes. Elsewhere `answer` has to be written at the end: only then is it
    known which text was the answer and which was said on the way to it. The latter is shown beside it.
    """

    def __init__(self, screen: Screen, shelf: Shelf | None = None, *, hidden_tools: Collection[str] = ()) -> None:
        self._screen = screen
        self._shelf = shelf
        self._called: list[ToolCall] = []
        self._thought: list[str] = []
        self._hidden = frozenset(hidden_tools)
        self._live = screen.answer.is_terminal
        self._turn_text: list[str] = []
        self._last_text = ""
        self._said = 0
        self._thinking = False
        self._origin: str | None = None

    @property
    def said(self) -> int:
        """Characters of text that the model said so far."""
        return self._said

    @property
    def answer(self) -> str:
        """The last text the model said."""
        return "".join(self._turn_text) or self._last_text

    @singledispatchmethod
    def show(self, event: Event) -> None:
        raise TypeError(f"no way to show {type(event).__name__}")

    @show.register
    def _(self, event: Text) -> None:
        if self._thinking:
            self._thinking = False
            self._screen.fresh_line()
        self._turn_text.append(event.text)
        self._said += len(event.text)
        if self._live:
            self._screen.text(event.text)

    @show.register
    def _(self, event: Thought) -> None:
        if not self._screen.aside.is_terminal:
            return
        if not self._thinking:
            self._thinking = True
            self._screen.line("thinking:", Style.DIM)
        self._thought.append(event.text)
        self._screen.aside_text(event.text)

    @show.register
    def _(self, event: ToolCall) -> None:
        if event.name in self._hidden:
            return
        self._thinking = False
        self._set_text_aside()
        self._called.append(event)
        self._screen.line(
            f"▸ {one_line(event.name)} {one_line(readable(event.arguments), ARGUMENT_COLUMNS)}".rstrip(), Style.TOOL
        )

    @show.register
    def _(self, event: ToolResult) -> None:
        if event.name in self._hidden:
            return
        self._set_text_aside()
        if event.of_several:
            self._screen.line(f"{INDENT}{one_line(event.name)}:", Style.DIM)
        style = Style.ERROR if event.text.startswith("Error") else Style.DIM
        lines = result_lines(event.text, self._screen.aside.columns)
        call = self._called.pop(0) if self._called else None
        if self._shelf is not None and call is not None:
            number = self._shelf.keep(KeptResult(call.name, call.arguments, event.text))
            if lines[-1].startswith("… "):
                lines[-1] += f": /show {number}"
        for line in lines:
            self._screen.line(INDENT + line, style)

    @show.register
    def _(self, event: Aside) -> None:
        self._screen.line(event.text, Style.DIM)

    @show.register
    def _(self, event: Origin) -> None:
        self._origin = event.answer_from

    def ask_again(self) -> None:
        """What was said is no answer after all: it has not the form that is wanted."""
        self._screen.fresh_line()
        self._set_text_aside()
        self._screen.line(ASKED_AGAIN, Style.DIM)

    def happened(self, event: ServerEvent) -> None:
        """What happens at the servers isn't shown here."""

    def typing(self, typed: TypedAhead) -> None:
        """What is typed meanwhile can't be shown here."""

    async def settle(self, stop: asyncio.Event | None = None) -> None:
        """Everything is shown as it comes."""

    def end(self) -> None:
        """End the last line."""
        self._screen.fresh_line()
        if self._shelf is not None and self._thought:
            self._shelf.think(self._thought)
            self._thought.clear()

    def hand_over(self, instead: str | None = None) -> None:
        """Write the answer, where it wasn't shown as it came: the model's text to the letter, and a line end.

        Args:
            instead: What to write in place of that text.
        """
        if not self._live and (answer := self.answer if instead is None else instead):
            self._screen.text(answer if answer.endswith("\n") else answer + "\n")

    def abandon(self) -> None:
        """What was held back won't be an answer: show it beside, so that it isn't lost."""
        self._set_text_aside()

    def say_origin(self) -> None:
        """One line on who wrote the answer, where the model said so."""
        if self._origin is not None:
            self._screen.line(origin_words(self._origin), Style.DIM)

    def _set_text_aside(self) -> None:
        """What was said before a tool call wasn't the answer yet."""
        text = "".join(self._turn_text)
        if not text:
            return
        self._last_text = text
        self._turn_text.clear()
        if not self._live:
            self._screen.line(text.rstrip("\n"), Style.DIM)


def origin_words(origin: str) -> str:
    """Who wrote the answer, in a sentence."""
    return ORIGINS.get(origin, f"Answer from: {one_line(origin)}")


def readable(arguments: str) -> str:
    """Arguments of a call with their letters as they are, where the model wrote them as numbers (`\\u00e8`)."""
    if "\\u" not in arguments or len(arguments) > READABLE_CHARS:
        return arguments
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def result_lines(text: str, terminal_columns: int) -> list[str]:
    """The start of a tool's result in lines that fit the terminal, and a last one that says how much is missing."""
    if not text.strip():
        return ["(empty)"]
    short = shorten(text, max_lines=RESULT_LINES, max_columns=terminal_columns - len(INDENT) - 1)
    lines = list(short.lines)
    if short.cut:
        lines.append(f"… {short.cut:,} more characters")
    return lines
