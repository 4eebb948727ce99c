"""What was typed ahead, below the rest of a turn. Pure."""

from __future__ import annotations

from tiny_agents.cli.live.area import Drawn, drawn
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.screen.safe_text import columns, neutralise
from tiny_agents.cli.screen.terminal import Style

MARK = "> "
SHOWN_PROMPTS = 3
LINE_END = " ⏎ "


def typed_lines(typed: TypedAhead, room: int, *, colour: bool) -> list[Drawn]:
    """The prompts that wait, the last ones, and the line that is being typed, each in a row; none where nothing was typed.

    Args:
        room: Columns of a row.
    """
    waiting = [drawn(_row(text, room), Style.DIM, colour=colour) for text in typed.entered[-SHOWN_PROMPTS:]]
    line = "".join(typed.line)
    return [*waiting, drawn(_row(line, room), colour=colour)] if waiting or line else []


def _row(text: str, room: int) -> str:
    """The end of a text, where one types."""
    shown = MARK + neutralise(text[-room:].replace("\n", LINE_END).replace("\t", " "))
    if len(text) <= room and columns(shown) <= room:
        return shown
    while columns(shown) > room - 1:
        shown = shown[1:]
    return f"…{shown}"
