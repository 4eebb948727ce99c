"""The model's server sends more than anybody can keep: memory stays bounded, and the end is one clear error."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.openai_server import Turn, delta, raw, status
from tests.support.processes import MemoryPeak
from tiny_agents import Agent, InferenceClient, InvalidResponseError, ProviderError

pytestmark = pytest.mark.anyio

MB = 1_000_000


def encoded(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)


async def ask(url: str) -> str:
    async with Agent(base_url=url, model="m") as agent:
        return (await agent.run_to_completion("go")).text


@pytest.mark.promise("bounded", "no loss")
async def test_an_answer_of_200_000_chunks_is_read(model: Callable[..., Any]) -> None:
    piece = encoded(delta(content="word ")) * 1000
    server = model(raw(*[piece] * 200, delta("stop")))
    with MemoryPeak() as memory:
        assert await ask(server.url) == "word " * 200_000
    assert memory.grown < 100 * MB


@pytest.mark.promise("bounded", "no loss")
async def test_a_chunk_of_a_megabyte_is_read(model: Callable[..., Any]) -> None:
    assert await ask(model(raw(delta(content="x" * MB), delta("stop"))).url) == "x" * MB


def growing(kind: str) -> Iterator[Any]:
    big = "x" * 100_000
    yield delta(tool_calls=[{"index": 0, "id": "c", "function": {"name": "f", "arguments": '{"n": "'}}])
    for number in itertools.count():
        match kind:
            case "text":
                yield delta(content=big)
            case "reasoning":
                yield delta(reasoning=big)
            case "arguments":
                yield delta(tool_calls=[{"index": 0, "function": {"arguments": big}}])
            case "names":
                yield delta(tool_calls=[{"index": 0, "function": {"name": f"{big}{number}"}}])
            case "blocks":
                yield delta(reasoning_details=[{"type": "a", "index": number, "text": big}])
            case "calls":
                yield delta(tool_calls=[{"index": number, "id": f"c{number}", "function": {"name": "f"}}])


@pytest.mark.promise("bounded", "valid")
@pytest.mark.parametrize("kind", ["text", "reasoning", "arguments", "names", "blocks", "calls"])
async def test_an_answer_without_end_is_given_up(model: Callable[..., Any], kind: str) -> None:
    server = model(Turn(growing(kind)))
    with MemoryPeak() as memory, pytest.raises(InvalidResponseError, match="it was given up"):
        await ask(server.url)
    assert memory.grown < 150 * MB
    assert server.gone.wait(30)


def packed(start: bytes, end: bytes = b"") -> bytes:
    """400 MB that are small on the way."""
    return gzip.compress(start + b"x" * 400 * MB + end, compresslevel=1)


def packed_turn(body: bytes, status: int = 200, **headers: str) -> Turn:
    return Turn(status=status, body=body, headers={"content-encoding": "gzip", **headers})


@pytest.mark.promise("bounded")
@pytest.mark.parametrize(
    ("turn", "error"),
    [
        (lambda: packed_turn(packed(b"data: "), **{"content-type": "text/event-stream"}), InvalidResponseError),
        (lambda: packed_turn(packed(b'{"x":"')), InvalidResponseError),
        (lambda: packed_turn(packed(b""), 400), ProviderError),
    ],
    ids=["a stream", "a document", "an error"],
)  # fmt: skip
async def test_what_grows_when_it_is_unpacked_is_given_up(
    model: Callable[..., Any], turn: Callable[[], Turn], error: type[Exception]
) -> None:
    server = model(turn())
    with MemoryPeak() as memory, pytest.raises(error):
        await ask(server.url)
    assert memory.grown < 300 * MB


def huge_head(*lines: bytes) -> Turn:
    return Turn(wire=[b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n"])


@pytest.mark.promise("bounded", "valid")
@pytest.mark.parametrize(
    "head",
    [[b"x: " + b"y" * MB + b"\r\n"], [b"x: y\r\n"] * 50_000, [b"x: ", *[b"y" * 65536] * 400]],
    ids=["one line", "many lines", "no end"],
)
async def test_headers_without_end_are_an_error(model: Callable[..., Any], head: list[bytes]) -> None:
    server = model(huge_head(*head))
    with pytest.raises(ConnectionError, match="broke"):
        InferenceClient(base_url=server.url, max_retries=0).chat_completion(
            [{"role": "user", "content": "go"}], model="m"
        )


@pytest.mark.promise("bounded")
async def test_an_error_without_end_is_cut(model: Callable[..., Any]) -> None:
    server = model(status(400, "x" * 20 * MB))
    with pytest.raises(ProviderError) as caught:
        await ask(server.url)
    assert len(str(caught.value)) < 1000
    assert len(caught.value.body) < 3000
