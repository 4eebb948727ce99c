"""What a chunk of a streamed chat answer costs, ours beside others.

    python -m benchmarks.streaming            all contenders; installs the others first, apart (takes some minutes)
    python -m benchmarks.streaming --quick    our own code only, once and short: that it still runs, not how fast

Every measurement is a fresh process reading from a server in another; contenders take turns within each round, so that what
else the machine does meets all alike. The number is CPU time of the reading process per chunk; ratios are taken within a
round. Tables are Markdown: the median of the rounds, and the least and most in brackets.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.contenders import DECODERS, STREAMS
from benchmarks.environments import REQUIREMENTS, python_for

SCRIPT = Path(__file__).parent / "contenders.py"
FLOOR = "floor"
REFERENCE = "huggingface_hub"


@dataclass(frozen=True)
class Case:
    title: str
    contenders: Sequence[str]
    chunks: int
    per_write: int | None  # None: decoding alone, without a stream

    def where(self, port: str) -> str:
        return f"http://127.0.0.1:{port}/{self.chunks}/{self.per_write}/v1" if self.per_write else "--decode"


def cases(chunks: int, only: Sequence[str]) -> list[Case]:
    streams = [name for name in STREAMS if name in only]
    decoders = [name for name in DECODERS if name in only]
    return [
        Case("One event per HTTP chunk", streams, chunks, 1),
        Case("Sixteen events per HTTP chunk", streams, chunks * 4 // 16 * 16, 16),
        Case("Decoding alone", decoders, 0, None),
    ]


@contextmanager
def server() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.stream_server"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=SCRIPT.parent.parent) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measure(name: str, where: str, versions: dict[str, str]) -> float:
    """Microseconds of CPU time per chunk, in a fresh process."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "OPENAI_"))}
    command = [python_for(name), str(SCRIPT), name, where]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env, cwd=SCRIPT.parent.parent)
    result = json.loads(done.stdout)
    versions.update(result["versions"])
    return float(result["seconds"] / result["chunks"] * 1e6)


def run(case: Case, rounds: int, port: str, versions: dict[str, str]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in case.contenders}
    for number in range(rounds):
        turn = number % len(case.contenders)  # nobody is always the first, or always after the same
        for name in [*case.contenders[turn:], *case.contenders[:turn]]:
            found[name].append(measure(name, case.where(port), versions))
    return found


def table(case: Case, found: dict[str, list[float]]) -> str:
    columns = {"": list(found), "µs per chunk": [spread(times) for times in found.values()]}
    if (floor := found.get(FLOOR)) is not None:
        columns["times the floor"] = [ratios(times, floor) for times in found.values()]
    if any(name.startswith(REFERENCE) for name in found):
        columns[f"{REFERENCE} takes"] = [against_its_like(name, found) for name in found]
    rows = [list(columns), ["---"] + ["---:"] * (len(columns) - 1), *zip(*columns.values(), strict=True)]
    return f"**{case.title}**\n\n" + "\n".join(f"| {' | '.join(row)} |" for row in rows)


def against_its_like(name: str, found: dict[str, list[float]]) -> str:
    """How many times as much the reference takes for the same: its agent beside an agent, else its client."""
    kind = "agent" if name.endswith("agent") else "client"
    reference = found.get(f"{REFERENCE} {kind}")
    return f"{ratios(reference, found[name])} times that" if reference else ""


def ratios(these: Sequence[float], those: Sequence[float]) -> str:
    return spread([this / that for this, that in zip(these, those, strict=True)])


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streaming", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="only our own code, once and short")
    parser.add_argument("--rounds", type=int, default=9, help="times each contender is measured (default 9)")
    parser.add_argument("--chunks", type=int, default=16_000, help="chunks of an answer (default 16000)")
    parser.add_argument("--only", action="append", metavar="NAME", help=f"one of {', '.join(STREAMS)}; repeatable")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.chunks = 1, 160
        options.only = options.only or [name for name in STREAMS if name.partition(" ")[0] not in REQUIREMENTS]
    chosen = options.only or list(STREAMS)
    if unknown := set(chosen) - set(STREAMS):
        parser.error(f"there is no contender {', '.join(sorted(unknown))}")
    for name in chosen:
        python_for(name)
    versions: dict[str, str] = {}
    with server() as port:
        for case in cases(options.chunks, chosen):
            print(table(case, run(case, options.rounds, port, versions)) + "\n", flush=True)
    print(f"{machine()}. {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}.")
    print(f"{date.today().isoformat()}, {options.rounds} rounds, {options.chunks} chunks.")


if __name__ == "__main__":
    main()
