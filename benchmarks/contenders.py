"""What is compared: each contender reads the same stream in a process of its own.

    python benchmarks/contenders.py NAME URL      prints one line of JSON
    python benchmarks/contenders.py NAME --decode

Only the standard library is imported up here: each contender runs in the environment that has its package. CPU time is
taken, not time on the clock, of one answer after another that warms everything up.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

MESSAGES = [{"role": "user", "content": "Count."}]
RAW = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"token "},"finish_reason":null}]}'
)
DECODES = 20_000

Answer = Callable[[], Awaitable[int]]
"""Asks once, reads the answer to its end, returns how many chunks there were."""


def bare_decoder() -> Callable[[bytes], Any]:
    """msgspec structs with the fields of a chunk, and nothing beside them."""
    import msgspec

    text = str | None
    delta = msgspec.defstruct(
        "Delta", [("role", text, None), ("content", text, None), ("tool_calls", Any, None)], gc=False
    )
    choice = msgspec.defstruct("Choice", [("delta", delta), ("index", int, 0), ("finish_reason", text, None)], gc=False)
    rest = [("id", text, None), ("model", text, None), ("created", int | None, None), ("usage", Any, None)]
    chunk = msgspec.defstruct("Chunk", [("choices", list[choice]), *rest], gc=False)  # type: ignore[valid-type]
    return msgspec.json.Decoder(chunk).decode


@asynccontextmanager
async def floor(url: str) -> AsyncIterator[Answer]:
    """httpx2's bytes, split by hand, decoded by msgspec: no library around it, and nothing that can go wrong is handled."""
    import httpx2

    decode = bare_decoder()
    async with httpx2.AsyncClient() as client:

        async def answer() -> int:
            count = 0
            body = {"model": "m", "messages": MESSAGES, "stream": True}
            async with client.stream("POST", f"{url}/chat/completions", json=body) as response:
                rest = b""
                async for data in response.aiter_raw():
                    *events, rest = (rest + data).split(b"\n\n")
                    for event in events:
                        if event != b"data: [DONE]":
                            decode(event[6:])
                            count += 1
            return count

        yield answer


@asynccontextmanager
async def tiny_agents_client(url: str) -> AsyncIterator[Answer]:
    from tiny_agents import AsyncInferenceClient

    async with AsyncInferenceClient(base_url=url) as client:

        async def answer() -> int:
            stream = await client.chat.completions.create(messages=MESSAGES, model="m", stream=True)
            return await counted(stream)

        yield answer


@asynccontextmanager
async def tiny_agents_agent(url: str) -> AsyncIterator[Answer]:
    from tiny_agents import Agent

    async with Agent(base_url=url, model="m") as agent:
        yield lambda: counted(agent.run("Count."))


@asynccontextmanager
async def huggingface_hub_client(url: str) -> AsyncIterator[Answer]:
    from huggingface_hub import AsyncInferenceClient

    async with AsyncInferenceClient(base_url=url, api_key="none") as client:

        async def answer() -> int:
            stream = await client.chat.completions.create(messages=MESSAGES, model="m", stream=True)
            return await counted(stream)

        yield answer


@asynccontextmanager
async def huggingface_hub_agent(url: str) -> AsyncIterator[Answer]:
    from huggingface_hub import Agent

    async with Agent(base_url=url, model="m", servers=[], api_key="none") as agent:
        yield lambda: counted(agent.run("Count."))


@asynccontextmanager
async def openai_client(url: str) -> AsyncIterator[Answer]:
    from openai import AsyncOpenAI

    messages: Any = MESSAGES
    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def answer() -> int:
            stream = await client.chat.completions.create(messages=messages, model="m", stream=True)
            return await counted(stream)

        yield answer


async def counted(items: Any) -> int:
    count = 0
    async for _ in items:
        count += 1
    return count


STREAMS: dict[str, Callable[[str], AbstractAsyncContextManager[Answer]]] = {
    "floor": floor,
    "tiny_agents client": tiny_agents_client,
    "tiny_agents agent": tiny_agents_agent,
    "huggingface_hub client": huggingface_hub_client,
    "huggingface_hub agent": huggingface_hub_agent,
    "openai client": openai_client,
}


def tiny_agents_decoder() -> Callable[[bytes], Any]:
    from tiny_agents.inference.types.chat import decode_chunk

    return decode_chunk


def huggingface_hub_decoder() -> Callable[[bytes], Any]:
    from huggingface_hub import ChatCompletionStreamOutput

    return lambda raw: ChatCompletionStreamOutput.parse_obj_as_instance(json.loads(raw))


def openai_decoder() -> Callable[[bytes], Any]:
    from openai.types.chat import ChatCompletionChunk

    return lambda raw: ChatCompletionChunk.construct(**json.loads(raw))


DECODERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "floor": bare_decoder,
    "tiny_agents client": tiny_agents_decoder,
    "huggingface_hub client": huggingface_hub_decoder,
    "openai client": openai_decoder,
}

PACKAGES = {"floor": ("httpx2", "msgspec"), "tiny_agents": ("tiny-agents",)}
"""What a version is given for, by the first word of a contender; a package has the name of its contender elsewhere."""


async def read_stream(name: str, url: str) -> tuple[float, int]:
    """CPU seconds of one answer, and its chunks."""
    async with STREAMS[name](url) as answer:
        await answer()
        start = time.process_time()
        chunks = await answer()
        return time.process_time() - start, chunks


def decode_many(name: str) -> tuple[float, int]:
    """CPU seconds of decoding one chunk many times, each dropped as it is in a stream, and how often that was."""
    decode = DECODERS[name]()
    for _ in range(DECODES // 10):
        decode(RAW)
    start = time.process_time()
    for _ in range(DECODES):
        decode(RAW)
    return time.process_time() - start, DECODES


def versions(name: str) -> dict[str, str]:
    package = name.partition(" ")[0]
    return {used: importlib.metadata.version(used) for used in PACKAGES.get(package, (package,))}


def main(name: str, where: str) -> None:
    seconds, chunks = decode_many(name) if where == "--decode" else asyncio.run(read_stream(name, where))
    print(json.dumps({"seconds": seconds, "chunks": chunks, "versions": versions(name)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
