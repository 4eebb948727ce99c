"""What a turn costs as a conversation grows: `python -m benchmarks.conversation [--quick]`.

An agent talks to a scripted model in another process: a request, a tool call, its result, an answer; 10,000 messages, as two
busy hours have. It is done four times: with the whole conversation sent each time, or summed up for a window of 32,000
tokens; each with and without saving it. Now and then: how long a request took (two calls of the model), how much CPU time of
this process that was, and the memory. Where all is sent, what is sent grows, and so does the time to write it; how much that
is alone is measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.sessions import memory_mb
from tiny_agents import Agent, Session, SqliteSessionStore
from tiny_agents.inference.encoding import encode_json

ROWS = (248, 1_000, 2_000, 5_000, 10_000)
QUICK_ROWS = (40, 80)
PER_REQUEST = 4
WINDOW = 32_000
LATEST = 20
"""Requests that a row is the median of, the last ones before it."""


@dataclass(frozen=True)
class Row:
    messages: int
    sent: int
    wall_ms: float
    cpu_ms: float
    encoding_ms: float
    memory_mb: float


# ---- the model, in a process of its own


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers requests on a connection, reading as little of them as can be."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        body = await reader.readexactly(length)
        if b"You write the memory of an assistant" in body[:400]:
            delta: dict[str, Any] = {"content": "They looked at things, one after the other. " * 20}
        elif body.rfind(b'"role":"tool"') > body.rfind(b'"role":"user"'):
            delta = {"content": "It is like this. " * 40}
        else:
            delta = {"tool_calls": [{"index": 0, "id": "call", "function": {"name": "look", "arguments": '{"n":1}'}}]}
        usage = {"prompt_tokens": length // 4, "completion_tokens": 100}
        chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": "stop"}]}, {"choices": [], "usage": usage}]
        events = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(events))
        writer.write(events.encode())
        await writer.drain()


async def serve() -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=2**26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def model() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.conversation", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


# ---- the agent


def look(n: int) -> str:
    """Look at something."""
    return f"Result {n}: " + "a line of what the tool found\n" * 30


async def measure(url: str, rows: tuple[int, ...], folder: Path | None, window: int | None) -> list[Row]:
    """One conversation; saved in `folder`, if there is one, and summed up for `window`, if there is one."""
    store = SqliteSessionStore(folder / "sessions.db") if folder is not None else None
    session = Session(store) if store is not None else None
    context = {"max_tokens": window} if window is not None else {"compact": "off"}
    found: list[Row] = []
    async with Agent(base_url=url, model="m", prompt="Be brief.", context=context, session=session) as agent:
        agent.add_tool(look)
        wall: list[float] = []
        cpu: list[float] = []
        for number in range(rows[-1] // PER_REQUEST):
            started, cpu_started = time.perf_counter(), time.process_time()
            await agent.run_to_completion(f"Request {number}: " + "what about this? " * 10)
            wall.append((time.perf_counter() - started) * 1000)
            cpu.append((time.process_time() - cpu_started) * 1000)
            count = (number + 1) * PER_REQUEST
            if count in rows:
                view = list(await agent.context.of(agent.messages, agent.available_tools, None))
                medians = statistics.median(wall[-LATEST:]), statistics.median(cpu[-LATEST:])
                found.append(Row(count, len(view), *medians, 2 * encoding_ms(view), memory_mb()))
    if store is not None:
        await store.close()
    return found


def encoding_ms(messages: list[Any]) -> float:
    """How long it takes to write these messages as JSON, once."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        encode_json({"messages": messages})
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.conversation", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="80 messages only: that it still runs")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    rows = QUICK_ROWS if options.quick else ROWS
    if options.one:
        url, summed_up, saved = options.one.split()
        with tempfile.TemporaryDirectory() as folder:
            window = (1_500 if options.quick else WINDOW) if summed_up == "yes" else None
            found = asyncio.run(measure(url, rows, Path(folder) if saved == "yes" else None, window))
        print(json.dumps([asdict(row) for row in found]))
        return
    with model() as url:
        for summed_up in ("yes", "no"):
            for saved in ("no", "yes"):
                print(table(summed_up, saved, one(url, summed_up, saved, quick=options.quick)), flush=True)


def one(url: str, summed_up: str, saved: str, *, quick: bool) -> list[Row]:
    """One conversation in a fresh process, so that the memory is its own."""
    command = [sys.executable, "-m", "benchmarks.conversation", "--one", f"{url} {summed_up} {saved}"]
    command += ["--quick"] if quick else []
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parent.parent)
    return [Row(**row) for row in json.loads(done.stdout)]


def table(summed_up: str, saved: str, rows: list[Row]) -> str:
    title = f"**{'Summed up' if summed_up == 'yes' else 'All is sent'}, {'saved' if saved == 'yes' else 'not saved'}**"
    head = (
        "| messages | sent | ms per request | ms CPU | of which writing JSON | memory, MB |\n|---|---|---|---|---|---|"
    )
    lines = [
        f"| {row.messages} | {row.sent} | {row.wall_ms:.2f} | {row.cpu_ms:.2f} | {row.encoding_ms:.2f} "
        f"| {row.memory_mb:.0f} |"
        for row in rows
    ]
    return "\n".join([title, "", head, *lines, ""])


if __name__ == "__main__":
    main()
