"""The bottom of the terminal that is drawn again and again, below lines that stay. Pure: what is there -> what to write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NewType

from tiny_agents.cli.live import sixel
from tiny_agents.cli.screen.safe_text import columns, neutralise
from tiny_agents.cli.screen.terminal import Style, styled

Drawn = NewType("Drawn", str)
"""A line ready for the terminal: its text went through `neutralise`, and the escape sequences in it are ours."""

CLEAR_TO_LINE_END = "\x1b[K"
CLEAR_BELOW = "\x1b[J"

_STYLING = re.compile(r"\x1b\[[0-9;]*m")


def drawn(text: str, style: Style = Style.PLAIN, *, colour: bool = False) -> Drawn:
    """A line of text, made safe."""
    return Drawn(styled(neutralise(text.replace("\n", " ")), style, colour))


def width(line: Drawn) -> int:
    """Columns that a line takes."""
    return columns(_STYLING.sub("", line))


def letters(line: Drawn) -> int:
    """Characters of a line that aren't spaces: as many as there are in its text however it is wrapped."""
    return len("".join(_STYLING.sub("", line).split()))


def frame(before: Sequence[Drawn], lines: Sequence[Drawn]) -> str:
    """What makes the rows that show `before` show `lines`, touching only what differs.

    The cursor is, before and afterwards, at the end of the last of the lines; where there are none, at the start of a row.
    """
    same = 0
    while same < min(len(before), len(lines)) and before[same] == lines[same]:
        same += 1
    if same == len(before) == len(lines):
        return ""
    if same == len(lines) and lines:
        same -= 1  # fewer than before: the last one is written again, so that the cursor gets there
    if same == len(before):
        start = "\n" if before else ""
    else:
        up = len(before) - 1 - same
        start = f"\x1b[{up}A\r" if up else "\r"
    body = "\n".join(_cleared(line) for line in lines[same:])
    return start + body + (CLEAR_BELOW if len(before) > len(lines) else "")


def _cleared(line: Drawn) -> str:
    """A line, and nothing of what its row showed before; clearing behind sixels would take their last row away."""
    return f"{CLEAR_TO_LINE_END}{line}" if line.startswith(sixel.START) else f"{line}{CLEAR_TO_LINE_END}"


def erased(rows: int) -> str:
    """What clears that many rows, the last of which has the cursor."""
    if not rows:
        return ""
    return (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\r" + CLEAR_BELOW


def rows_of(lines: Sequence[Drawn], terminal_columns: int) -> int:
    """Rows that lines take in a terminal of another width than they were made for, which wraps them."""
    return sum(max(1, -(-width(line) // terminal_columns)) for line in lines)
