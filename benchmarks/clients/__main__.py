"""One client does one work: see the package's docstring.

CPU time is that of this process, without the servers'; it is taken of the second time that something is done, so that
imports and first uses are over. Where time on the clock is meant, the key says so.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import platform
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.clients import Open, Server, Setting, bare

MODULES = {
    "floor": "floor",
    "tiny_agents": "tiny_agents",
    "huggingface_hub": "huggingface_hub",
    "openai_agents": "openai_agents",
    "pydantic_ai": "pydantic_ai",
    "fast_agent": "fast_agent",
    "mcp_use": "mcp_use",
    "smolagents": "smolagents",
    "strands": "strands",
    "openai client": "openai",
}
BARE: dict[str, Open] = {"tiny_agents client": bare.tiny_agents, "huggingface_hub client": bare.huggingface_hub}

REPEATS = 20
"""How often something short is done within a process; its median counts."""

Result = dict[str, float]
Work = Callable[[Open, Setting, dict[str, Any]], Coroutine[Any, Any, Result]]


def module_of(client: str) -> Any:
    return importlib.import_module(f"benchmarks.clients.{MODULES[client]}")


async def whole(run: Any, prompt: str) -> int:
    """Run to the end; how many things came."""
    count = 0
    async for _ in run(prompt):
        count += 1
    return count


async def stream(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """CPU time per chunk of an answer."""
    async with open_agent(setting) as run:
        await whole(run, "chunks=160 per=1 pause=0")
        start = time.process_time()
        count = await whole(run, of["prompt"])
        seconds = time.process_time() - start
    assert count >= of["chunks"], f"only {count} of {of['chunks']} chunks came"
    return {"cpu us": seconds / of["chunks"] * 1e6}


async def first_chunk(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Time on the clock from the call to the first text that comes; some clients tell of other things before."""
    says = getattr(module_of(of["client"]), "says", lambda _: True)
    times = []
    async with open_agent(setting) as run:
        for _ in range(of.get("repeats", REPEATS)):
            start, first = time.perf_counter(), 0.0
            async for thing in run("chunks=3 per=1 pause=0"):
                if not first and says(thing):
                    first = time.perf_counter() - start
            assert first, "no text came"
            times.append(first)
    return {"wall ms": statistics.median(times) * 1e3}


async def turns(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """CPU time per tool turn; TCP connections to the server per call."""
    async with open_agent(setting) as run:
        await whole(run, "turns=3 calls=1 tool=look")
        before = asked(setting, "connections")
        start = time.process_time()
        await whole(run, f"turns={of['turns']} calls=1 tool=look")
        seconds = time.process_time() - start
        opened = asked(setting, "connections") - before
    return {"cpu ms": seconds / of["turns"] * 1e3, "connections per call": opened / of["turns"]}


async def parallel(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Time on the clock of a run with calls that wait at the server."""
    times = []
    async with open_agent(setting) as run:
        await whole(run, "turns=1 calls=1 tool=look")
        for _ in range(of.get("repeats", 5)):
            start = time.perf_counter()
            await whole(run, f"turns=1 calls={of['calls']} tool=wait")
            times.append(time.perf_counter() - start)
    return {"wall ms": statistics.median(times) * 1e3}


async def requests(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """How many requests to the model a run makes."""
    async with open_agent(setting) as run:
        before = asked(setting, "requests")
        await whole(run, f"turns={of['turns']} calls=1 tool=look")
        return {"requests": asked(setting, "requests") - before}


async def own_clients(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Runs at the same time, each with an agent and connections of its own: CPU time per run, all in all; peak memory."""

    async def one() -> None:
        async with open_agent(setting) as run:
            met.append(None)
            if len(met) == of["runs"]:
                all_here.set()
            await all_here.wait()
            await whole(run, "turns=1 calls=1 tool=look")

    met: list[None] = []
    all_here = asyncio.Event()
    async with open_agent(setting) as run:  # imports and the like are over
        await whole(run, "turns=1 calls=1 tool=look")
    start = time.process_time()
    await asyncio.gather(*(one() for _ in range(of["runs"])))
    seconds = time.process_time() - start
    return {"cpu ms": seconds / of["runs"] * 1e3, "peak MB": peak_mb()}


async def shared_connections(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Agents at the same time on one connection to the server and one pool to the model: CPU time per run."""
    open_shared = module_of(of["client"]).open_shared
    async with open_shared(setting) as new:
        await asyncio.gather(*(whole(new(), of["prompt"]) for _ in range(of["runs"])))
        start = time.process_time()
        await asyncio.gather(*(whole(new(), of["prompt"]) for _ in range(of["runs"])))
        seconds = time.process_time() - start
    return {"cpu ms": seconds / of["runs"] * 1e3}


async def cold(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Says when the first tools are listed; what measures it counts from the start of the process."""
    async with open_agent(setting):
        print("ready", flush=True)
    return {}


async def idle(open_agent: Open, setting: Setting, of: dict[str, Any]) -> Result:
    """Memory of this process with a server that is connected, after one run."""
    async with AsyncExitStack() as stack:
        run = await stack.enter_async_context(open_agent(setting))
        await whole(run, "turns=1 calls=1 tool=look")
        return {"resident MB": resident_mb()}


WORKS: dict[str, Work] = {
    "stream": stream,
    "first chunk": first_chunk,
    "turns": turns,
    "parallel": parallel,
    "requests": requests,
    "own clients": own_clients,
    "shared connections": shared_connections,
    "cold": cold,
    "idle": idle,
}


def asked(setting: Setting, what: str) -> int:
    """What a server has counted; 0 for a server that is no HTTP server."""
    url = setting.model_url if what == "requests" else "" if setting.server is None else setting.server.url
    if not url:
        return 0
    with urllib.request.urlopen(f"{'/'.join(url.split('/')[:3])}/stats") as answer:
        return int(json.load(answer)[what])


def resident_mb() -> float:
    """0 where the system doesn't say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)


def peak_mb() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def decode(client: str, count: int) -> Result:
    """CPU time of decoding one chunk many times, each dropped as in a stream."""
    of = DECODERS[client]()
    for _ in range(count // 10):
        of(RAW)
    start = time.process_time()
    for _ in range(count):
        of(RAW)
    return {"cpu us": (time.process_time() - start) / count * 1e6}


RAW = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"token "},"finish_reason":null}]}'
)


def _tiny_agents_decoder() -> Callable[[bytes], Any]:
    from tiny_agents.inference.types.chat import decode_chunk

    return decode_chunk


def _huggingface_hub_decoder() -> Callable[[bytes], Any]:
    from huggingface_hub import ChatCompletionStreamOutput

    return lambda raw: ChatCompletionStreamOutput.parse_obj_as_instance(json.loads(raw))


def _openai_decoder() -> Callable[[bytes], Any]:
    from openai.types.chat import ChatCompletionChunk

    return lambda raw: ChatCompletionChunk.construct(**json.loads(raw))


DECODERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "floor": lambda: module_of("floor").decoder(),
    "tiny_agents": _tiny_agents_decoder,
    "huggingface_hub": _huggingface_hub_decoder,
    "openai client": _openai_decoder,
}


def versions(client: str) -> dict[str, str]:
    packages = module_of(client).PACKAGES if client in MODULES else ()
    return {"Python": platform.python_version()} | {name: importlib.metadata.version(name) for name in packages}


def main(client: str, work: str, text: str) -> None:
    of = json.loads(text) | {"client": client}
    if work == "decode":
        result = decode(client, of["count"])
    else:
        server = Server(of["kind"], tuple(of.get("command", ())), of.get("url", "")) if "kind" in of else None
        setting = Setting(of["model_url"], server, turns=of.get("turns", 0) + 10, history=of.get("history", 0))
        open_agent = BARE.get(client) or module_of(client).open_agent
        result = asyncio.run(WORKS[work](open_agent, setting, of))
    print(json.dumps({"result": result, "versions": versions(client)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
