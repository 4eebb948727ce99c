"""Everything that is measured, ours beside others.

    python -m benchmarks               all of it; installs the others first, apart (takes most of an hour)
    python -m benchmarks --quick       our own code only, each once and short: that it still runs, not how fast
    python -m benchmarks --only stream --only idle
    python -m benchmarks --write       writes tables and plots into docs/performance.md

Every number comes from a fresh process, the servers are in others; the clients take turns within each round, so that what
else the machine does meets all alike. Tables are Markdown: the median of the rounds, the least and the most in brackets;
ratios are taken within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from benchmarks.environments import REQUIREMENTS, install
from benchmarks.measuring import ROOT, Found, measure_all
from benchmarks.plots import plot
from benchmarks.report import BY_NAME, summary, table
from benchmarks.rows import PLOTS, ROWS

PAGE = ROOT / "docs" / "performance.md"
PICTURES = ROOT / "docs" / "performance"
NUMBERS = PICTURES / "numbers.json"


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def load() -> str:
    """How busy the machine was in the last quarter of an hour, where the system says so."""
    return f"{os.getloadavg()[2]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def write(found: Found, note: str) -> None:
    """Put tables and plots into the page; what was not measured this time stays as it was."""
    PICTURES.mkdir(exist_ok=True)
    kept: dict[str, Found] = json.loads(NUMBERS.read_text(encoding="utf-8")) if NUMBERS.exists() else {}
    rows = {
        row.name: (kept.get("rows", {}) | found)[row.name] for row in ROWS if row.name in kept.get("rows", {}) | found
    }
    rounded = {name: {c: [round(v, 3) for v in times] for c, times in of.items()} for name, of in rows.items()}
    NUMBERS.write_text(json.dumps({"rows": rounded}, separators=(",", ":")) + "\n", encoding="utf-8")
    for name, (title, names) in PLOTS.items():
        shown = {row: rows[row] for row in names if row in rows}
        if shown:
            (PICTURES / f"{name}.svg").write_text(plot(title, shown), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    page = _between(page, "summary", f"{summary(rows)}\n\n{note}")
    page = _between(page, "tables", "\n\n".join(table(BY_NAME[name], values) for name, values in rows.items()))
    PAGE.write_text(page, encoding="utf-8")


def _between(page: str, mark: str, text: str) -> str:
    start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    return re.sub(f"{start}.*?{end}", lambda _: f"{start}\n\n{text}\n\n{end}", page, flags=re.DOTALL)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only our own code, once and short")
    parser.add_argument("--rounds", type=int, default=5, help="times everything is measured (default 5)")
    parser.add_argument("--only", action="append", metavar="ROW", help=f"one of {', '.join(BY_NAME)}; repeatable")
    parser.add_argument("--client", action="append", metavar="NAME", help="measure only this client; repeatable")
    parser.add_argument("--write", action="store_true", help="write tables and plots into docs/performance.md")
    options = parser.parse_args(arguments)
    if unknown := set(options.only or ()) - set(BY_NAME):
        parser.error(f"there is no row {', '.join(sorted(unknown))}")
    rows = [row for row in ROWS if not options.only or row.name in options.only]
    clients = {client for row in rows for client in row.clients}
    if unknown := set(options.client or ()) - clients:
        parser.error(f"there is no client {', '.join(sorted(unknown))}")
    if options.quick:
        options.rounds = 1
        clients = {client for client in clients if client.partition(" ")[0] not in REQUIREMENTS}
    clients &= set(options.client or clients)
    missing = install(clients)
    found, versions, failed = measure_all(rows, options.rounds, sorted(clients - set(missing)), quick=options.quick)
    counts = [len(times) for of in found.values() for times in of.values()] or [0]
    rounds = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    note = (
        f"{date.today().isoformat()}, {rounds} rounds, load {load()}, on {machine()}. "
        f"{', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}."
        f"{''.join(f' Not measured: {client} ({why}).' for client, why in (missing | failed).items())}"
    )
    print(f"{summary(found)}\n")
    for name, values in found.items():
        print(f"{table(BY_NAME[name], values)}\n")
    print(note)
    if options.write:
        write(found, note)


if __name__ == "__main__":
    main()
