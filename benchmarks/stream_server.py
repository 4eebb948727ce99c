"""A model that answers at once, in a process of its own: chat chunks as fast as they can be read.

    python -m benchmarks.stream_server     prints its port, serves until it is ended

The address says how the answer is cut: `/CHUNKS/PER_WRITE/v1/chat/completions` sends CHUNKS chunks, PER_WRITE of them in
each chunk of the HTTP body. Written by hand on a socket, so that the reader is what is measured.
"""

from __future__ import annotations

import asyncio
import json

CHUNK = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1_700_000_000,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "token "}, "finish_reason": None}],
}
LAST = {**CHUNK, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WRITES_PER_DRAIN = 50


def event(data: object) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def http_chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            _, chunks, per_write, _ = head.split(b" ", 2)[1].split(b"/", 3)
            length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            write = http_chunk(event(CHUNK) * int(per_write))
            writer.write(HEAD)
            for number in range(int(chunks) // int(per_write)):
                writer.write(write)
                if number % WRITES_PER_DRAIN == 0:
                    await writer.drain()
            writer.write(http_chunk(event(LAST) + b"data: [DONE]\n\n") + b"0\r\n\r\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the reader has what it wanted
    finally:
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
