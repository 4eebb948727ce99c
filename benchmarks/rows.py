"""What is measured: a row for each, with what it may cost at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FLOOR, OURS, REFERENCE, PYTHON = "floor", "tiny_agents", "huggingface_hub", "python"
_FIRST = (REFERENCE, "openai_agents", "pydantic_ai")
PEERS = (*_FIRST, "fast_agent", "mcp_use", "smolagents", "strands")
AGENTS = (FLOOR, OURS, *PEERS)
_SOME = (FLOOR, OURS, *_FIRST)
"""Where more would add nothing but time."""
_FEW = (FLOOR, OURS, REFERENCE)
"""Where the others would take minutes."""


@dataclass(frozen=True)
class Limit:
    """What our number may be at most.

    Attributes:
        most: Times what `to` has; where `to` is empty, the number itself.
        to: A client in the same row.
        row: Instead, our own number in another row.
    """

    most: float
    to: str = ""
    row: str = ""


@dataclass(frozen=True)
class Row:
    """One thing that is measured.

    Attributes:
        name: For `--only`.
        unit: Which of the numbers of a work counts, as its results call it.
        work: A work of `benchmarks.clients`, or "command" for a program that is run as a whole.
        of: What the work is told.
        quick: What it is told instead for a look whether it still runs.
        server: How the tools are served, if there are any.
        tools: How many the server has.
    """

    name: str
    title: str
    unit: str
    work: str
    clients: tuple[str, ...]
    limits: tuple[Limit, ...] = ()
    of: Mapping[str, Any] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)
    server: Literal["stdio", "http"] | None = None
    tools: int = 3


def _stream(
    name: str, title: str, clients: tuple[str, ...], limits: tuple[Limit, ...], chunks: int, *, per: int, pause: int = 0
) -> Row:
    def prompt(count: int) -> dict[str, Any]:
        return {"prompt": f"chunks={count} per={per} pause={pause}", "chunks": count}

    return Row(name, title, "cpu us", "stream", clients, limits, prompt(chunks), prompt(160))


def _turns(
    name: str, title: str, clients: tuple[str, ...], turns: int = 50, *, server: Literal["stdio", "http"] = "stdio",
    limits: tuple[Limit, ...] = (), tools: int = 3, history: int = 0, unit: str = "cpu ms"
) -> Row:  # fmt: skip
    of = {"turns": turns, "history": history}
    return Row(name, title, unit, "turns", clients, limits, of, of | {"turns": 2}, server, tools)


def _own(runs: int, clients: tuple[str, ...], name: str, title: str, unit: str, limits: tuple[Limit, ...]) -> Row:
    return Row(name, title, unit, "own clients", clients, limits, {"runs": runs}, {"runs": 2}, "http")


_STREAMS = (*AGENTS, "tiny_agents client", "huggingface_hub client", "openai client")
_LONG_STREAMS = tuple(client for client in _STREAMS if client != "smolagents")
"""Without the one that puts the whole answer together anew for each chunk: some minutes for 16,000."""
_GROWS = (Limit(1.25, row="stdio"),)
_THREE_TURNS = "turns=3 calls=1 tool=look"

ROWS = (
    _stream("stream", "A streamed chunk, one event per HTTP chunk", _STREAMS,
            (Limit(1.15, FLOOR), Limit(0.17, REFERENCE)), 4_000, per=1),
    _stream("stream-16", "A streamed chunk, sixteen events per HTTP chunk", _LONG_STREAMS,
            (Limit(0.06, REFERENCE),), 16_000, per=16),
    _stream("paced", "A streamed chunk, one per millisecond", AGENTS, (Limit(1.1, FLOOR),), 500, per=1, pause=1),
    Row("decode", "Decoding a chunk, without a stream", "cpu us", "decode",
        (FLOOR, OURS, REFERENCE, "openai client"), (), {"count": 20_000}, {"count": 100}),
    Row("first-chunk", "Time to the first chunk, warm client", "wall ms", "first chunk", AGENTS,
        (Limit(1.3, FLOOR),), {}, {"repeats": 2}),
    _turns("stdio", "A tool turn, stdio", AGENTS, limits=(Limit(1.25, FLOOR), Limit(0.55, REFERENCE))),
    _turns("http", "A tool turn, streamable HTTP", AGENTS, server="http", limits=(Limit(0.8, REFERENCE),)),
    _turns("connections", "TCP connections opened per tool call", _SOME, server="http", limits=(Limit(0.05),),
           unit="connections per call"),
    _turns("turns-250", "A tool turn of 250", _FEW, 250, limits=_GROWS),
    _turns("turns-1000", "A tool turn of 1,000", _FEW, 1_000, limits=_GROWS),
    _turns("history-2000", "A tool turn after 2,000 messages", _FEW, limits=_GROWS, history=2_000),
    _turns("tools-1000", "A tool turn with 1,000 tools", _FEW, limits=_GROWS, tools=1_000),
    Row("parallel", "8 tool calls of 100 ms at the same time", "wall ms", "parallel", AGENTS, (Limit(110.0),),
        {"calls": 8}, {"calls": 8, "repeats": 1}, "stdio"),
    Row("requests", "Requests to the model for 5 tool turns", "requests", "requests", AGENTS, (Limit(6.0),),
        {"turns": 5}, {"turns": 2}, "stdio"),
    _own(10, AGENTS, "own-10", "10 runs at once, each its own client and server connection", "cpu ms",
         (Limit(0.4, REFERENCE),)),
    Row("shared-100", "100 agents on shared connections", "cpu ms", "shared connections", (FLOOR, OURS),
        (Limit(1.25, FLOOR),), {"runs": 100, "prompt": _THREE_TURNS}, {"runs": 3, "prompt": _THREE_TURNS}, "http"),
    Row("shared-500", "500 agents on shared connections", "cpu ms", "shared connections", (FLOOR, OURS),
        (Limit(1.25, FLOOR), Limit(1.15, row="shared-100")), {"runs": 500, "prompt": _THREE_TURNS},
        {"runs": 5, "prompt": _THREE_TURNS}, "http"),
    _own(100, _FEW, "memory-100", "Peak memory of 100 runs with their own clients", "peak MB",
         (Limit(0.4, REFERENCE),)),
    _own(500, _FEW, "memory-500", "Peak memory of 500 runs with their own clients", "peak MB",
         (Limit(0.2, REFERENCE),)),
    Row("import", "Importing the agent", "cpu ms", "command", (PYTHON, OURS, *PEERS), (Limit(0.35, REFERENCE),)),
    Row("help", "`tiny-agents --help`", "cpu ms", "command", (PYTHON, OURS, REFERENCE),
        (Limit(2.2, PYTHON), Limit(0.1, REFERENCE))),
    Row("cold", "From nothing to the first tools of a stdio server", "wall ms", "cold", AGENTS,
        (Limit(0.9, REFERENCE),), server="stdio"),
    Row("idle", "Memory with one stdio server", "resident MB", "idle", AGENTS, (Limit(1.1, REFERENCE),),
        server="stdio"),
)  # fmt: skip

PLOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "streaming": ("Streaming: CPU time per chunk", ("stream", "stream-16", "paced")),
    "turns": ("Tool turns: CPU time per turn", ("stdio", "http", "turns-250", "history-2000", "tools-1000")),
    "many": ("Many at once: CPU time per run, and memory", ("own-10", "shared-100", "shared-500", "memory-100")),
    "start": ("Starting", ("import", "help", "cold", "idle")),
}
"""The plots: name -> heading and rows."""
