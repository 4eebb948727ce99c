"""Measuring: fresh processes that take turns, against servers in others."""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.environments import REQUIREMENTS, python_for
from benchmarks.rows import PYTHON, Row

ROOT = Path(__file__).parent.parent
COMMAND_REPEATS = 5

IMPORTS = {
    PYTHON: "pass",
    "tiny_agents": "from tiny_agents import MCPClient, Agent",
    "huggingface_hub": "from huggingface_hub import MCPClient, Agent",
    "openai_agents": "from agents import Agent, Runner; from agents.mcp import MCPServerStdio",
    "pydantic_ai": "from pydantic_ai import Agent; from pydantic_ai.mcp import MCPToolset",
    "fast_agent": "from fast_agent import FastAgent",
    "mcp_use": "from mcp_use import MCPAgent, MCPClient; from langchain_openai import ChatOpenAI",
    "smolagents": "from smolagents import MCPClient, OpenAIModel, ToolCallingAgent",
    "strands": "from strands import Agent; from strands.models.openai import OpenAIModel; "
    "from strands.tools.mcp import MCPClient",
}

Found = dict[str, dict[str, list[float]]]
"""Row -> client -> its number in each round."""


class Servers:
    """The servers that the rows need, started when they are first needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._ports: dict[tuple[str, ...], str] = {}

    def model_url(self) -> str:
        return f"http://127.0.0.1:{self._port('-m', 'benchmarks.model_server')}/v1"

    def tools(self, row: Row) -> dict[str, Any]:
        """What a client is told of the server of a row."""
        script = str(ROOT / "benchmarks" / "tool_server.py")
        if row.server == "stdio":
            return {"kind": "stdio", "command": [sys.executable, script, "stdio", str(row.tools)]}
        if row.server == "http":
            return {"kind": "http", "url": f"http://127.0.0.1:{self._port(script, 'http', str(row.tools))}/mcp"}
        return {}

    def _port(self, *arguments: str) -> str:
        if arguments not in self._ports:
            self._ports[arguments] = self._stack.enter_context(_serving(arguments))
        return self._ports[arguments]


@contextmanager
def _serving(arguments: Sequence[str]) -> Iterator[str]:
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def measure_all(
    rows: Sequence[Row], rounds: int, only: Sequence[str], *, quick: bool
) -> tuple[Found, dict[str, str], dict[str, str]]:
    """Each round measures all rows; within a row the clients take turns, and another one begins each time.

    Ctrl+C ends it with what was measured until then. Where a package that is compared with us fails, the rest goes on.

    Returns: What was found, the versions of what was used, and what failed and why.
    """
    found: Found = {row.name: {} for row in rows}
    versions: dict[str, str] = {}
    failed: dict[str, str] = {}
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        servers = Servers(stack)
        for number in range(rounds):
            for row in rows:
                for client in _in_turn([name for name in row.clients if name in only], number):
                    try:
                        value, used = measure(row, client, servers, quick=quick)
                    except (subprocess.CalledProcessError, OSError) as error:
                        if client.partition(" ")[0] not in REQUIREMENTS:
                            raise
                        print(f"{row.name}: {client} failed: {error}", file=sys.stderr, flush=True)
                        failed[f"{client} in {row.name}"] = _why(error)
                        continue
                    versions.update(_named(used, client))
                    found[row.name].setdefault(client, []).append(value)
                print(f"round {number + 1} of {rounds}: {row.name}", file=sys.stderr, flush=True)
    return found, versions, failed


def _why(error: subprocess.CalledProcessError | OSError) -> str:
    """Without paths of this machine: it may be written into the documentation."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return f"ended with status {error.returncode}"


def _named(versions: Mapping[str, str], client: str) -> dict[str, str]:
    """With the client's name, where clients differ in it; a Python that is ours isn't named."""
    ours = {"Python": platform.python_version()}
    found = {name: version for name, version in versions.items() if ours.get(name) != version}
    return {f"{name} ({client})" if name in ("mcp", "openai", "Python") else name: found[name] for name in found}


def _in_turn(clients: Sequence[str], number: int) -> Iterable[str]:
    start = number % len(clients) if clients else 0
    return [*clients[start:], *clients[:start]]


def measure(row: Row, client: str, servers: Servers, *, quick: bool) -> tuple[float, dict[str, str]]:
    """Our number for one client, and the versions of what it uses."""
    if row.work == "command":
        return _command(row.name, client, 1 if quick else COMMAND_REPEATS), {}
    of = dict(row.quick if quick else row.of) | {"model_url": servers.model_url()} | servers.tools(row)
    command = [python_for(client), "-m", "benchmarks.clients", client, row.work, json.dumps(of)]
    if row.work == "cold":
        return _cold(command), {}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=_environment(), cwd=ROOT)
    answer = json.loads(done.stdout.splitlines()[-1])
    return float(answer["result"][row.unit]), answer["versions"]


def _command(what: str, client: str, repeats: int) -> float:
    """Milliseconds of CPU time of a whole program, the median of some."""
    python = python_for(client)
    if what == "import" or client == PYTHON:
        command = [python, "-c", IMPORTS[client]]
    else:
        program = shutil.which("tiny-agents", path=str(Path(python).parent))
        assert program is not None, f"there is no tiny-agents beside {python}"
        command = [program, "--help"]
    times = []
    for _ in range(repeats + 1):  # the first one may still compile
        before = _children_s()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=_environment(), cwd=ROOT.parent)
        times.append((_children_s() - before) * 1e3)
    return statistics.median(times[1:])


def _children_s() -> float:
    """CPU seconds of all child processes that have ended."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cold(command: Sequence[str]) -> float:
    """Milliseconds from the start of a process to its first line."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment(), cwd=ROOT) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        taken = time.perf_counter() - start
        process.stdout.read()
    assert (line, process.returncode) == ("ready\n", 0), f"{line!r}, exit code {process.returncode}"
    return taken * 1e3


def _environment() -> dict[str, str]:
    """Without settings of the user, which would choose other servers or report what is done, and without telemetry; with
    bytecode kept, as of installed packages.
    """
    left_out = (
        "HF_",
        "OPENAI_",
        "TINY_AGENTS_",
        "GENERIC_",
        "LANGCHAIN_",
        "LANGSMITH_",
        "LANGFUSE_",
        "OTEL_",
        "PYTHONDONTWRITEBYTECODE",
    )
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    return kept | {"MCP_USE_ANONYMIZED_TELEMETRY": "false"}
