"""What saving costs as a conversation grows: `python -m benchmarks.sessions [--quick]`.

One conversation of 10,000 messages, saved turn by turn as an agent does: a request, an answer with a tool call (saved before
the call is carried out), its result, an answer. No model is asked. Per thousand messages: how long the conversation waited
for its storage per turn, how much of that was CPU time of this process, its memory, and how large the file is. At the end:
how long it takes to come back to the conversation, and to find a word in it for the first and for the second time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny_agents import ChatCompletionInputMessage, Session, SqliteSessionStore
from tiny_agents.inference.types.record import Record

MESSAGES = 10_000
ROW_EVERY = 1_000
PER_TURN = 4


@dataclass(frozen=True)
class Row:
    """The turns that led to `messages`: medians per turn, and what there is then."""

    messages: int
    waited_ms: float
    cpu_ms: float
    memory_mb: float
    file_mb: float


def message(**fields: Any) -> ChatCompletionInputMessage:
    return ChatCompletionInputMessage.parse_obj_as_instance(fields)


async def one_turn(session: Session, messages: list[Any], number: int) -> None:
    """What the loop tells a session in one request with one tool call."""
    call = {"id": f"c{number}", "type": "function", "function": {"name": "look", "arguments": f'{{"n": {number}}}'}}
    messages.append(message(role="user", content=f"Request {number}: " + "what about this? " * 10))
    await session.begin(messages, tools=["look"])
    result = message(role="tool", tool_call_id=f"c{number}", name="look", content="interrupted")
    messages += [message(role="assistant", tool_calls=[call]), result]
    await session.changed()
    result.content = f"Result {number}: " + "a line of what the tool found\n" * 30
    await session.heard(result)
    await session.turned()
    messages.append(message(role="assistant", content=f"Answer {number}. " + "It is like this. " * 40))
    await session.turned()
    await session.end("done")


def memory_mb() -> float:
    """Resident memory of this process; 0 where the system doesn't say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


async def measure(folder: Path, count: int, row_every: int) -> tuple[list[Row], dict[str, float]]:
    """The rows, and milliseconds of what is done at the end."""
    store = SqliteSessionStore(folder / "sessions.db")
    session = Session(store)
    messages: list[dict[str, Any] | Record] = [message(role="system", content="Be brief.")]
    rows: list[Row] = []
    waited: list[float] = []
    cpu: list[float] = []
    for number in range(count // PER_TURN):
        started, cpu_started = time.perf_counter(), time.process_time()
        await one_turn(session, messages, number)
        waited.append((time.perf_counter() - started) * 1000)
        cpu.append((time.process_time() - cpu_started) * 1000)
        if (number + 1) * PER_TURN % row_every == 0:
            count_now = (number + 1) * PER_TURN
            medians = statistics.median(waited), statistics.median(cpu)
            rows.append(Row(count_now, *medians, memory_mb(), size_mb(folder)))
            waited.clear()
            cpu.clear()
    await session.close()
    ends = {}
    for what in ("come back to it", "find a word, first time", "find a word again"):
        started = time.perf_counter()
        if what.startswith("come"):
            again = await Session.resume(store, session.id)
            assert len(again.history([])) == len(messages)
            await again.close()
        else:
            (found,) = await store.call(store.database.search, f"Result {count // PER_TURN // 2}: line")
            assert found.info.id == session.id
        ends[what] = (time.perf_counter() - started) * 1000
    await store.close()
    return rows, ends


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sessions", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="400 messages only: that it still runs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        rows, ends = asyncio.run(measure(Path(folder), 400 if quick else MESSAGES, 100 if quick else ROW_EVERY))
    out = sys.stdout
    out.write("| messages | ms waited per turn | ms CPU per turn | memory, MB | file, MB |\n|---|---|---|---|---|\n")
    for row in rows:
        out.write(
            f"| {row.messages} | {row.waited_ms:.2f} | {row.cpu_ms:.2f} | {row.memory_mb:.0f} | {row.file_mb:.1f} |\n"
        )
    out.write("\n" + "".join(f"{what}: {ms:.0f} ms\n" for what, ms in ends.items()))


if __name__ == "__main__":
    main()
