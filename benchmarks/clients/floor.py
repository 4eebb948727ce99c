"""The least that a client can do: httpx2's bytes, split by hand, decoded by msgspec, a bare session of the MCP SDK.

No library around it, nothing that can go wrong is handled. What was sent before is kept encoded and only appended to.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from benchmarks.clients import Run, Server, Setting, earlier

PACKAGES = ("httpx2", "msgspec", "mcp")


@functools.cache
def decoder() -> Callable[[bytes], Any]:
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
async def session(server: Server) -> AsyncIterator[Any]:
    import mcp
    from mcp.client.stdio import StdioServerParameters, stdio_client
    from mcp.client.streamable_http import streamable_http_client

    if server.kind == "stdio":
        transport: Any = stdio_client(StdioServerParameters(command=server.command[0], args=list(server.command[1:])))
    else:
        transport = streamable_http_client(server.url)
    async with transport as streams, mcp.ClientSession(*streams[:2]) as session:
        await session.initialize()
        yield session


class Shared:
    """One HTTP client and at most one session."""

    def __init__(self, setting: Setting, http: Any, mcp_session: Any, tools: bytes) -> None:
        self.setting, self.http, self.session, self.tools = setting, http, mcp_session, tools
        self.messages: list[bytes] = []

    def beside(self) -> Shared:
        return Shared(self.setting, self.http, self.session, self.tools)

    async def run(self, prompt: str) -> AsyncIterator[Any]:
        import msgspec

        encode, messages = msgspec.json.encode, self.messages
        messages.append(encode({"role": "user", "content": prompt}))
        while True:
            calls: list[dict[str, str]] = []
            text = ""
            async for chunk in self.ask():
                delta = chunk.choices[0].delta
                text += delta.content or ""
                for part in delta.tool_calls or ():
                    if "id" in part:
                        calls.append({"id": part["id"], "name": part["function"]["name"], "arguments": ""})
                    calls[-1]["arguments"] += part["function"]["arguments"]
                yield chunk
            if not calls:
                messages.append(encode({"role": "assistant", "content": text}))
                return
            told = [
                {"id": c["id"], "type": "function", "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls
            ]
            messages.append(encode({"role": "assistant", "content": None, "tool_calls": told}))
            results = await asyncio.gather(
                *(self.session.call_tool(c["name"], msgspec.json.decode(c["arguments"])) for c in calls)
            )
            for call, result in zip(calls, results, strict=True):
                message = {"role": "tool", "tool_call_id": call["id"], "content": result.content[0].text}
                messages.append(encode(message))
                yield message

    async def ask(self) -> AsyncIterator[Any]:
        decode = decoder()
        body = b'{"model":"m","stream":true,"messages":[%s]%s}' % (b",".join(self.messages), self.tools)
        headers = {"content-type": "application/json"}
        url = f"{self.setting.model_url}/chat/completions"
        async with self.http.stream("POST", url, content=body, headers=headers) as response:
            rest = b""
            async for data in response.aiter_raw():
                *events, rest = (rest + data).split(b"\n\n")
                for event in events:
                    if event != b"data: [DONE]":
                        yield decode(event[6:])


def encoded_tools(tools: list[Any]) -> bytes:
    import msgspec

    told = [
        {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.input_schema}}
        for t in tools
    ]
    return b',"tools":' + msgspec.json.encode(told) if told else b""


@asynccontextmanager
async def connected(setting: Setting) -> AsyncIterator[Shared]:
    import httpx2
    import msgspec

    async with AsyncExitStack() as stack:
        mcp_session, tools = None, b""
        if setting.server is not None:
            mcp_session = await stack.enter_async_context(session(setting.server))
            tools = encoded_tools((await mcp_session.list_tools()).tools)
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
        http = await stack.enter_async_context(httpx2.AsyncClient(limits=limits, timeout=300))
        shared = Shared(setting, http, mcp_session, tools)
        shared.messages = [msgspec.json.encode(message) for message in earlier(setting.history)]
        yield shared


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    async with connected(setting) as shared:
        yield shared.run


@asynccontextmanager
async def open_shared(setting: Setting) -> AsyncIterator[Callable[[], Run]]:
    async with connected(setting) as shared:
        yield lambda: shared.beside().run
