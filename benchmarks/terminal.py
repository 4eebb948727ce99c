"""What somebody at a terminal waits for: `python -m benchmarks.terminal [--quick]`.

The real program runs in a pseudo-terminal and talks to a scripted model in another process, which sends 1,000 chunks a
second.
Measured are the time from the start to the prompt, from a key that is pressed while an answer comes to its echo, and from
Ctrl+C to the line that says that the turn was stopped, in each of its phases. POSIX only.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import logging
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from benchmarks.__main__ import machine

ROOT = Path(__file__).parent.parent
PER_TICK = 10
TICK_S = 0.01
LIMIT_S = 60.0
BETWEEN_KEYS_S = 0.05
COLUMNS, ROWS = 100, 40

TEXTS: Mapping[str, Callable[[int], str]] = {
    "prose": lambda n: f"some *words* number {n} " + ("\n\n" if n % 40 == 39 else ""),
    "list": lambda n: f"- point {n} with `code`\n",
    "table": lambda n: f"| row {n} | {n * n} | words |\n" if n else "| a | b | c |\n|---|--:|---|\n",
    "code": lambda n: f"value_{n} = compute({n}, 'x{n}')\n" if n else "```python\n",
    "paragraph": lambda n: f"word{n} ",
}
"""What a chunk holds, by its number. The last one never comes to an end of a line."""

SERVER = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked or asked["method"] == "tools/call":
        continue
    results = {
        "initialize": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                       "serverInfo": {"name": "x", "version": "1"}},
        "tools/list": {"tools": [{"name": "wait", "inputSchema": {"type": "object"},
                                  "annotations": {"readOnlyHint": True}}]},
    }
    answer = {"result": results[asked["method"]]} if asked["method"] in results else {
        "error": {"code": -32601, "message": "no such method"}}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer}), flush=True)
"""


# ---- the model, in a process of its own


def chunk(**delta: Any) -> bytes:
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    data = json.dumps({**body, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}).encode()
    return b"%x\r\ndata: %s\n\n\r\n" % (len(data) + 8, data)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends what the last prompt names, until nobody listens any more."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        wanted = json.loads(await reader.readexactly(length))["messages"][-1]["content"]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        if wanted == "tool":
            writer.write(chunk(tool_calls=[{"index": 0, "id": "1", "function": {"name": "wait", "arguments": "{}"}}]))
            writer.write(b"c\r\ndata: [DONE]\r\n0\r\n\r\n")
            return
        number = 0
        due = time.monotonic()
        while wanted != "silence" and not writer.transport.is_closing():
            for _ in range(PER_TICK):
                text = TEXTS[wanted](number) if wanted in TEXTS else f"thought {number} "
                writer.write(chunk(content=text) if wanted in TEXTS else chunk(reasoning_content=text))
                number += 1
            await writer.drain()
            due += TICK_S
            await asyncio.sleep(max(due - time.monotonic(), 0))
        await reader.read()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # stopped, as it should be
    finally:
        writer.close()


async def serve() -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a client has gone is no news
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def model() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.terminal", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        finally:
            process.kill()


# ---- the program


class Program:
    """The program in a terminal. `written` is what it wrote since `forget`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        own = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "TERM": "xterm-256color"}
        env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | own
        self.written = b""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "tiny_agents", *arguments], env)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._terminal)  # as closing the window does
        os.waitpid(self._pid, 0)

    def forget(self) -> None:
        self.written = b""

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def until(self, pattern: bytes) -> float:
        """When it was written, on the clock of `time.perf_counter`."""
        deadline = time.monotonic() + LIMIT_S
        while re.search(pattern, self.written) is None:
            if not self._read(deadline - time.monotonic()):
                raise RuntimeError(f"nothing came that was waited for; the last was {self.written[-300:]!r}")
        return time.perf_counter()

    def for_a_while(self, seconds: float) -> None:
        """Read what is written meanwhile."""
        end = time.monotonic() + seconds
        while self._read(end - time.monotonic()):
            pass

    def _read(self, within_s: float) -> bool:
        if not select.select([self._terminal], [], [], max(within_s, 0))[0]:
            return False
        data = os.read(self._terminal, 65536)
        if b"\x1b[6n" in data:
            self.type("\x1b[1;1R")  # where the cursor is, as a terminal says
        self.written += data
        return True


PROMPT = rb"\x1b\[\?2004h"
"""The prompt has the terminal say what is pasted."""
WORKING = rb"Ctrl\+C stops"


def start_ms(folder: Path, url: str, agent: str) -> float:
    started = time.perf_counter()
    with Program(folder, "run", agent, "--base-url", url) as program:
        return (program.until(PROMPT) - started) * 1000


def command_ms(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, cwd=ROOT)
    return (time.perf_counter() - started) * 1000


def echoes_ms(program: Program, what: str, keys: int) -> list[float]:
    """From each key to its echo, while `what` streams in."""
    program.forget()
    program.type(f"{what}\r")
    program.until(WORKING)
    program.for_a_while(1.0)
    found = []
    typed = ""
    for number in range(keys):
        if number % 40 == 0 and typed:
            program.type("\x15")
            program.for_a_while(0.2)
            typed = ""
        typed += chr(ord("a") + number % 26)
        program.forget()
        began = time.perf_counter()
        program.type(typed[-1])
        found.append((program.until(re.escape(f"> {typed}".encode())) - began) * 1000)
        program.for_a_while(BETWEEN_KEYS_S * (1 + number % 7 / 7))
    program.type("\x15")
    stop_ms(program)
    program.type("\x15" * 2)
    return found


def stop_ms(program: Program) -> float:
    program.forget()
    began = time.perf_counter()
    program.type("\x03")
    stopped = (program.until(rb"Stopped\.") - began) * 1000
    program.until(rb"(?s)Stopped\..*" + PROMPT)
    program.for_a_while(0.2)
    return stopped


def stops_ms(program: Program, phase: str, times: int) -> list[float]:
    """From Ctrl+C to the word that the turn was stopped, at different moments of a phase."""
    found = []
    for number in range(times):
        program.forget()
        program.type(f"{phase}\r")
        program.until(WORKING)
        program.for_a_while(0.3 + 2.0 * number / times)
        found.append(stop_ms(program))
    return found


# ---- the tables


def row(name: str, times: Sequence[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"| {name} | {statistics.median(times):.0f} | {p95:.0f} | {max(times):.0f} |"


def table(title: str, rows: Sequence[str]) -> str:
    return "\n".join([f"**{title}**", "", "| | median | p95 | most |", "| --- | ---: | ---: | ---: |", *rows, ""])


def measure(folder: Path, url: str, *, quick: bool) -> Iterator[str]:
    starts, keys, stops = (1, 5, 1) if quick else (15, 200, 8)
    bare = folder / "bare.yaml"
    bare.write_text(json.dumps({"name": "bare", "model": "m"}))
    served = folder / "served.yaml"
    server = {"command": "${python}", "args": ["-c", SERVER]}
    served.write_text(json.dumps({"name": "served", "model": "m", "servers": {"slow": server}}))
    commands = {
        "Python that prints a line": ("-c", "print('x')"),
        "`--version`": ("-m", "tiny_agents", "--version"),
        "`--help`": ("-m", "tiny_agents", "--help"),
    }
    rows = [row(name, [command_ms(*command) for _ in range(starts)]) for name, command in commands.items()]
    for name, agent in {"`run`, to the prompt": bare, "`run` with a server, to the prompt": served}.items():
        rows.append(row(name, [start_ms(folder, url, str(agent)) for _ in range(starts)]))
    yield table("From the start, ms", rows)
    with Program(folder, "run", str(served), "--base-url", url) as program:
        program.until(PROMPT)
        program.for_a_while(0.5)
        kinds = list(TEXTS)[:1] if quick else list(TEXTS)
        yield table("From a key to its echo, ms", [row(kind, echoes_ms(program, kind, keys)) for kind in kinds])
        phases = ["silence", "thought", *kinds, "tool"]
        yield table("From Ctrl+C to the end of the turn, ms", [row(p, stops_ms(program, p, stops)) for p in phases])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.terminal", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few keys only: that it still runs")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory() as folder, model() as url:
        for part in measure(Path(folder), url, quick=options.quick):
            print(part, flush=True)
    print(f"{machine()}.")


if __name__ == "__main__":
    main()
