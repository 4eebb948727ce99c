"""A model that answers at once, in a process of its own, as the last user message asks it to.

    python -m benchmarks.model_server     prints its port, serves until it is ended

The message is words such as `turns=50 calls=1 tool=look`: so many answers with so many calls of a tool, then a text; or
`chunks=16000 per=16 pause=0`: a text of so many chunks, so many of them in each chunk of the HTTP body, and milliseconds
between two of those. `end=final_answer` calls that tool behind the text, for agents that end so. Nothing is kept between
requests: where a run is, is seen from the results of tools that follow the user's message. `GET /stats` says how many
requests there were. Written by hand on a socket, so that the reader is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "token "}, "finish_reason": None}],
}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"
WRITES_PER_DRAIN = 50
LIMIT = 2**26

_WORD = re.compile(rb"(turns|calls|tool|chunks|per|pause|end)=(\w+)")
_TOOL_MESSAGE = re.compile(rb'"role": ?"tool"')
_OBSERVATION = re.compile(rb'"text": ?"Observation:')
"""Begins the results of a turn where an agent tells them in a message of the user."""


def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    data = {**CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def http_chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


# a text begins unlike it goes on: fast-agent takes a chunk that begins with all of the text before for the text so far
START = chunk({"role": "assistant", "content": "Well, "})
EVENT = chunk({"content": "token "})
STOP = chunk({}, "stop")


def calls_of(turn: int, calls: int, tool: str, arguments: str) -> list[dict[str, Any]]:
    function = {"name": tool, "arguments": arguments}
    return [{"id": f"call_{turn}_{index}", "type": "function", "function": function} for index in range(calls)]


def streamed(calls: list[dict[str, Any]]) -> bytes:
    """Tool calls, two chunks for each, as models write them, and the end of the answer."""
    events = []
    for index, call in enumerate(calls):
        function = call["function"]
        events.append(chunk({"tool_calls": [{"index": index, **call, "function": {**function, "arguments": ""}}]}))
        events.append(chunk({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]}))
    return b"".join([*events, chunk({}, "tool_calls"), DONE])


async def say(body: bytes, writer: asyncio.StreamWriter) -> None:
    """Write the answer to a request."""
    start = max(body.rfind(b"turns="), body.rfind(b"chunks="))
    words = {key.decode(): value.decode() for key, value in _WORD.findall(body[start : start + 100])}
    count = int(words.get("calls", 1))
    turn = len(_TOOL_MESSAGE.findall(body, start)) // count + len(_OBSERVATION.findall(body, start))
    if turn < int(words.get("turns", 0)):
        calls = calls_of(turn, count, words.get("tool", "look"), '{"n": 1}')
        events = chunk({"role": "assistant", "content": None}) + streamed(calls)
        writer.write(HEAD + http_chunk(events) + b"0\r\n\r\n")
    else:
        ending = streamed(calls_of(turn, 1, words["end"], '{"answer": "token "}')) if "end" in words else STOP + DONE
        await say_text(words, ending, writer)
    await writer.drain()


async def say_text(words: Mapping[str, str], ending: bytes, writer: asyncio.StreamWriter) -> None:
    """Write a text in chunks, as the words say."""
    writer.write(HEAD)
    chunks, per, pause_s = int(words.get("chunks", 3)), int(words.get("per", 1)), int(words.get("pause", 0)) / 1000
    write = http_chunk(EVENT * per)
    loop = asyncio.get_running_loop()
    due = loop.time()
    for number in range(chunks // per):
        writer.write(write if number else http_chunk(START + EVENT * (per - 1)))
        if pause_s:
            due += pause_s
            await asyncio.sleep(due - loop.time())
        elif number % WRITES_PER_DRAIN == 0:
            await writer.drain()
    writer.write(http_chunk(ending) + b"0\r\n\r\n")


class Model:
    def __init__(self) -> None:
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                if head.startswith(b"get /stats"):
                    body = json.dumps({"requests": self.requests}).encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                    continue
                self.requests += 1
                length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
                await say(await reader.readexactly(int(length.split(b":")[1])), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the reader has what it wanted
        finally:
            writer.close()


async def main() -> None:
    server = await asyncio.start_server(Model().serve, "127.0.0.1", 0, limit=LIMIT, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
