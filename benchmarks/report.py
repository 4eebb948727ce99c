"""Numbers -> tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.measuring import Found
from benchmarks.rows import FLOOR, OURS, PEERS, ROWS, Limit, Row

BY_NAME = {row.name: row for row in ROWS}
UNITS = {
    "cpu us": "µs CPU",
    "cpu ms": "ms CPU",
    "wall ms": "ms",
    "peak MB": "MB",
    "resident MB": "MB",
    "requests": "requests",
    "connections per call": "connections",
}


def summary(found: Found) -> str:
    """What each row may be at most, and what it is."""
    lines = ["| work | at most | measured | |", "| --- | ---: | ---: | --- |"]
    for name, values in found.items():
        row = BY_NAME[name]
        for limit in row.limits:
            measured = against(limit, row, found)
            if measured is not None:
                verdict = "met" if measured <= limit.most else "**missed**"
                lines.append(f"| {row.title} | {_at_most(limit, row)} | {shown(measured)} | {verdict} |")
        if OURS in values and not row.limits:
            lines.append(f"| {row.title} | | {shown(statistics.median(values[OURS]))} {UNITS[row.unit]} | |")
    return "\n".join(lines)


def against(limit: Limit, row: Row, found: Found) -> float | None:
    """Our number as the limit takes it, the median of the rounds; None where something for it wasn't measured."""
    ours = found[row.name].get(OURS)
    if not ours:
        return None
    if limit.row:
        those: Sequence[float] | None = found.get(limit.row, {}).get(OURS)
    elif limit.to:
        those = found[row.name].get(limit.to)
    else:
        return statistics.median(ours)
    return statistics.median(ratios(ours, those)) if those else None


def _at_most(limit: Limit, row: Row) -> str:
    if limit.row:
        return f"{limit.most:g} × ours: {BY_NAME[limit.row].title[0].lower()}{BY_NAME[limit.row].title[1:]}"
    return f"{limit.most:g} × {limit.to}" if limit.to else f"{limit.most:g} {UNITS[row.unit]}"


def table(row: Row, values: Mapping[str, Sequence[float]]) -> str:
    """All clients of a row: the median of the rounds, the least and the most; ratios within the rounds."""
    columns = {"": list(values), UNITS[row.unit]: [spread(times) for times in values.values()]}
    if floor := values.get(FLOOR):
        columns["× floor"] = [_ratio(times, floor) for times in values.values()]
    peers = {name: values[name] for name in PEERS if name in values}
    if peers:
        best = min(peers, key=lambda name: statistics.median(peers[name]))
        columns[f"× {best}"] = [_ratio(times, peers[best]) for times in values.values()]
    cells = [list(columns), ["---"] + ["---:"] * (len(columns) - 1), *zip(*columns.values(), strict=True)]
    return f"**{row.title}** ({row.name})\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _ratio(these: Sequence[float], those: Sequence[float]) -> str:
    found = ratios(these, those)
    return shown(statistics.median(found)) if found else ""


def ratios(these: Sequence[float], those: Sequence[float]) -> list[float]:
    return [this / that for this, that in zip(these, those, strict=False) if that]


def spread(values: Sequence[float]) -> str:
    return f"{shown(statistics.median(values))} ({shown(min(values))}-{shown(max(values))})"


def shown(value: float) -> str:
    """Three digits that matter, and no more than two after the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
