"""A tool call as lines: while it runs, and when it is over. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiny_agents.cli.live.area import Drawn, drawn
from tiny_agents.cli.live.images import ShownImage
from tiny_agents.cli.screen.render import INDENT, readable, result_lines
from tiny_agents.cli.screen.safe_text import one_line, wrapped
from tiny_agents.cli.screen.terminal import Style
from tiny_agents.mcp_client.events import ToolProgress

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SPINS_PER_S = 10
CALL_ROWS = 3
LONG_S = 1.0
"""From here on it is said how long a call took."""


@dataclass(slots=True)
class Call:
    """A call that is shown.

    Attributes:
        name: Server and tool, `time.now`; of our own tools the name alone.
        began, ended: Seconds of some clock; None while it runs.
        failed: Whether the tool or its server said so.
        images: What there is to show of its images.
        whole: The text of the result before anything was cut, where that is known.
    """

    id: str
    name: str
    arguments: str
    began: float
    ended: float | None = None
    progress: ToolProgress | None = None
    failed: bool | None = None
    whole: str | None = None
    images: Sequence[ShownImage] = ()


def spinner(now: float) -> str:
    return SPINNER[int(now * SPINS_PER_S) % len(SPINNER)]


def seconds(duration_s: float) -> str:
    """`2.3 s`, `1 min 5 s`."""
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    return f"{int(duration_s) // 60} min {int(duration_s) % 60} s"


def header(call: Call, columns: int, *, colour: bool) -> list[Drawn]:
    """Which tool, with what; shortened."""
    style = Style.ERROR if call.failed else Style.TOOL
    mark = "✗" if call.failed else "▸"
    text = f"{mark} {one_line(call.name, 120)} {one_line(readable(call.arguments), columns * (CALL_ROWS - 1))}".rstrip()
    return [drawn(line, style, colour=colour) for line in wrapped(text, columns, indent="    ")[:CALL_ROWS]]


def running(call: Call, now: float, columns: int, *, colour: bool) -> list[Drawn]:
    """A call that goes on: how far it is, how long it takes."""
    if call.ended is not None:
        state = f"done in {seconds(call.ended - call.began)}"
    else:
        state = " · ".join([f"{spinner(now)} {seconds(now - call.began)}", *_progress(call.progress)])
    return [
        *header(call, columns, colour=colour),
        drawn(INDENT + one_line(state, columns - 3), Style.DIM, colour=colour),
    ]


def _progress(progress: ToolProgress | None) -> list[str]:
    if progress is None:
        return []
    of = f" of {progress.total:g}" if progress.total is not None else ""
    return [f"{progress.done:g}{of}", *([one_line(progress.message, 200)] if progress.message else [])]


def finished(call: Call, text: str, number: int | None, columns: int, *, colour: bool) -> list[Drawn]:
    """A call that is over: the start of its result, and how to see the rest."""
    style = Style.ERROR if call.failed else Style.DIM
    *shown, last = result_lines(text, columns)
    is_cut = last.startswith("… ")
    lines = shown if is_cut else [*shown, last]
    notes = [f"{last} of {len(text):,}" + (f": /show {number}" if number is not None else "")] if is_cut else []
    notes += [image.note for image in call.images if image.note]
    if call.ended is not None and call.ended - call.began >= LONG_S:
        notes.append(seconds(call.ended - call.began))
    return [
        *header(call, columns, colour=colour),
        *(drawn(INDENT + line, style, colour=colour) for line in lines),
        *(image.inline for image in call.images if image.inline is not None),
        *(drawn(INDENT + line, Style.DIM, colour=colour) for line in wrapped(" · ".join(notes), columns - 2) if line),
    ]


def interrupted(call: Call, now: float, columns: int, *, colour: bool) -> list[Drawn]:
    """A call that nobody waits for any more."""
    note = drawn(f"{INDENT}interrupted after {seconds(now - call.began)}", Style.WARNING, colour=colour)
    return [*header(call, columns, colour=colour), note]
