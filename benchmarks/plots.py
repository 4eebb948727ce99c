"""Bars as SVG, readable on light and dark pages, the shortest first. Each row has its own scale; its name says what the
number is.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.report import BY_NAME, UNITS, shown
from benchmarks.rows import FLOOR, OURS, PYTHON

WIDTH, NAME, VALUE = 760, 180, 90
BAR, GAP, HEAD = 16, 4, 30
COLOURS = {OURS: "#d9730d", FLOOR: "#8a8f98", PYTHON: "#8a8f98"}
OTHERS = "#5b8def"
STYLE = "text{font:13px system-ui,sans-serif;fill:#1f2328}.n{fill:#59636e}.h{font-weight:600}"
DARK = "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.n{fill:#9198a1}}"


def plot(title: str, rows: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """One picture with a group of bars for each row: the median, and a line from the least to the most."""
    parts = [f'<text x="0" y="18" class="h">{escape(title)}</text>']
    y = 34
    for name, values in rows.items():
        row = BY_NAME[name]
        parts.append(f'<text x="0" y="{y + 14}">{escape(row.title)} ({UNITS[row.unit]})</text>')
        y += HEAD - 8
        most = max(max(times) for times in values.values())
        for client, times in sorted(values.items(), key=lambda of: statistics.median(of[1])):
            parts += _bar(client, times, most or 1.0, y)
            y += BAR + GAP
        y += 12
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img">'
    return "\n".join([svg, f"<title>{escape(title)}</title>", f"<style>{STYLE}{DARK}</style>", *parts, "</svg>", ""])


def _bar(client: str, times: Sequence[float], most: float, y: int) -> list[str]:
    room = WIDTH - NAME - VALUE
    median, low, high = (value / most * room for value in (statistics.median(times), min(times), max(times)))
    middle = y + BAR / 2
    colour = COLOURS.get(client.partition(" ")[0], OTHERS)
    return [
        f'<text x="{NAME - 8}" y="{y + 12}" text-anchor="end">{escape(client)}</text>',
        f'<rect x="{NAME}" y="{y}" width="{max(median, 1):.1f}" height="{BAR}" fill="{colour}"/>',
        f'<path d="M{NAME + low:.1f} {middle}H{NAME + high:.1f}" stroke="#59636e" stroke-width="2"/>',
        f'<text x="{NAME + high + 6:.1f}" y="{y + 12}" class="n">{shown(statistics.median(times))}</text>',
    ]
