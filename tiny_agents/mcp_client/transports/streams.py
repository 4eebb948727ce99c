"""`StreamLink`: a link over the streams of one of the SDK's transports, whose messages are models instead of dicts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.mcp_client.protocol.messages import Closed, Message, encode

if TYPE_CHECKING:  # importing it costs 0.7 s
    from mcp.client._transport import Transport
    from mcp_types import JSONRPCMessage

logger = logging.getLogger("tiny_agents.mcp_client")

LAST_WORD_S = 5.0
"""How long a last word may take to leave."""


def quiet_sdk() -> None:
    """The SDK logs what it survives, with tracebacks. Without a handler Python would print that on the user's screen;
    whoever configures logging gets all of it."""
    for name in ("mcp", "client"):
        sdk_logger = logging.getLogger(name)
        if not sdk_logger.handlers:
            sdk_logger.addHandler(logging.NullHandler())


@asynccontextmanager
async def linked(transport: Transport) -> AsyncIterator[StreamLink]:
    """A link over a transport of the SDK's, which is entered and left with the block."""
    async with transport as (read, write):
        link = StreamLink(read, write)
        try:
            yield link
        finally:
            await link.close()


class StreamLink:
    takes_headers = False

    def __init__(self, read: Any, write: Any) -> None:
        self._read = read
        self._write = write
        self._reader: asyncio.Task[None] | None = None

    def listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        self._reader = asyncio.create_task(self._listen(receive, ended), name="MCP streams")

    async def _listen(self, receive: Callable[[Message], None], ended: Callable[[], None]) -> None:
        import anyio

        try:
            async for item in self._read:
                if not isinstance(item, Exception):  # one that a transport survived, and has logged
                    receive(as_dict(item.message))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            pass  # it is closed like any other
        finally:
            ended()

    async def send(self, message: Message, headers: Mapping[str, str] | None = None) -> None:
        import anyio
        from mcp.shared.message import SessionMessage

        plain = msgspec.json.decode(encode(message))  # a transport ends if it can't write something; this says it here
        try:
            await self._write.send(SessionMessage(as_model(plain)))
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            if "method" in message and "id" in message:
                raise Closed from None

    async def tell(self, message: Message) -> None:
        import anyio

        with anyio.move_on_after(LAST_WORD_S, shield=True):
            await self.send(message)

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait({self._reader})
        await self._read.aclose()
        await self._write.aclose()


def as_dict(model: JSONRPCMessage) -> Message:
    """A message of the SDK's as the wire has it."""
    message = {name: getattr(model, name) for name in model.model_fields_set}
    if (error := message.get("error")) is not None:
        message["error"] = {"code": error.code, "message": error.message, "data": error.data}
    return message


def as_model(message: Message) -> JSONRPCMessage:
    """The way back."""
    from mcp_types import JSONRPCError, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

    if "method" in message:
        return JSONRPCRequest(**message) if "id" in message else JSONRPCNotification(**message)
    return JSONRPCError(**message) if "error" in message else JSONRPCResponse(**message)
