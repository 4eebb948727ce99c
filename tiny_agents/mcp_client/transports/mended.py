"""Between a transport and the SDK: messages are mended before the SDK checks them, which refuses a list for one odd tool."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from tiny_agents.errors import redact
from tiny_agents.mcp_client.connection.greeting import mended_greeting
from tiny_agents.mcp_client.results.mending import mended_answer
from tiny_agents.mcp_client.text import readable, without_secrets
from tiny_agents.mcp_client.tools.mending import complete, listed, mended_progress, mended_tools, put_aside
from tiny_agents.mcp_client.transports.bounds import MAX_DEPTH, too_deep
from tiny_agents.mcp_client.transports.framing import Streams

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_ASKED = 500
"""Most requests of one server that wait for our answer; more are dropped, as nobody reads the answers."""

MAX_REMEMBERED = 10_000
"""Requests of ours of which it is remembered what they asked for: those without an answer."""

MAX_SAID_CHARS = 1_000

URL_ELICITATION_REQUIRED = -32042
"""The code of an error whose data are addresses that are to be opened as they are."""


@asynccontextmanager
async def mended(transport: Any, server: str, secrets: Sequence[str] = ()) -> AsyncIterator[Streams]:
    """The streams of `transport`, with what arrives mended.

    Args:
        secrets: What is left out of errors; more may be added later.
    """
    async with transport as (read_stream, write_stream):
        traffic = Traffic(server, secrets)
        yield MendedStream(read_stream, traffic), NotedStream(write_stream, traffic)


class Traffic:
    """What goes back and forth with one server: requests without an answer, on either side."""

    def __init__(self, server: str, secrets: Sequence[str] = ()) -> None:
        self.server = server
        self._secrets = secrets
        self._ours: OrderedDict[str, str] = OrderedDict()  # id -> method
        self._theirs: set[str] = set()
        self._told: set[str] = set()

    def sent(self, message: Any) -> None:
        """A message of ours is on its way."""
        method, id = getattr(message, "method", None), getattr(message, "id", None)
        if id is None:
            return
        if method is None:
            self._theirs.discard(str(id))
            return
        self._ours[str(id)] = method
        while len(self._ours) > MAX_REMEMBERED:
            self._ours.popitem(last=False)

    def arrived(self, message: Any) -> bool:
        """Look at a message of the server's, and mend it in place; says whether it is to be passed on."""
        method, id = getattr(message, "method", None), getattr(message, "id", None)
        if method is None:
            asked = self._ours.pop(str(id), "")
            if isinstance(result := getattr(message, "result", None), dict):
                message.result = _MENDED.get(asked, _as_it_is)(self, result)
                complete(message.result)
            elif (error := getattr(message, "error", None)) is not None:
                message.error = self._without_secrets(error)
            return True
        if id is None:
            return _NOTICES.get(method, _passed)(self, message)
        if len(self._theirs) >= MAX_ASKED:
            self.warn("it asks without end and takes no answers; what it asks is dropped")
            return False
        self._theirs.add(str(id))
        return True

    def progress(self, message: Any) -> bool:
        if (params := mended_progress(message.params)) is None:
            logger.debug("MCP server '%s': a report of progress without a usable number was dropped", self.server)
            return False
        message.params = params
        return True

    def cancelled(self, message: Any) -> bool:
        if isinstance(message.params, dict):
            self._theirs.discard(str(message.params.get("requestId")))
        return True

    def tools(self, result: dict[str, Any]) -> dict[str, Any]:
        mended = self.page(result)
        if isinstance(tools := mended.get("tools"), list):
            whole, problems = mended_tools(tools)
            mended["tools"] = [put_aside(tool) for tool in whole]
            if problems:
                self.warn(f"its list of tools is not valid MCP: {listed(problems)}")
        return mended

    def page(self, result: dict[str, Any]) -> dict[str, Any]:
        cursor = result.get("nextCursor")
        if cursor is None or isinstance(cursor, str):
            return result
        self.warn("the cursor of its list is no text: what follows can't be asked for")
        return {key: value for key, value in result.items() if key != "nextCursor"}

    def answer(self, result: dict[str, Any]) -> dict[str, Any]:
        if too_deep(result):
            return {
                "content": [{"type": "text", "text": f"the answer is nested deeper than {MAX_DEPTH} levels"}],
                "isError": True,
            }
        return mended_answer(result)

    def warn(self, said: str) -> None:
        """Say in the log what is wrong, once."""
        said = redact(readable(said), self._secrets)[:MAX_SAID_CHARS]
        if said not in self._told:
            self._told = {*list(self._told)[:100], said}
            logger.warning("MCP server '%s': %s", self.server, said)

    def _without_secrets(self, error: Any) -> Any:
        """An error for all who are told of it: whoever waits for the answer, and the SDK's logs and traces."""
        said = {"message": redact(error.message, self._secrets)}
        if error.code != URL_ELICITATION_REQUIRED:
            said["data"] = without_secrets(error.data, self._secrets)
        return error.model_copy(update=said)


def _as_it_is(_: Traffic, result: dict[str, Any]) -> dict[str, Any]:
    return result


def _passed(_: Traffic, __: Any) -> bool:
    return True


def _greeting(_: Traffic, result: dict[str, Any]) -> dict[str, Any]:
    return mended_greeting(result)


_MENDED: dict[str, Callable[[Traffic, dict[str, Any]], dict[str, Any]]] = {
    "initialize": _greeting,
    "server/discover": _greeting,
    "tools/list": Traffic.tools,
    "tools/call": Traffic.answer,
    "prompts/list": Traffic.page,
    "resources/list": Traffic.page,
    "resources/templates/list": Traffic.page,
}
"""How the answer to a request of ours is mended."""

_NOTICES: dict[str, Callable[[Traffic, Any], bool]] = {
    "notifications/progress": Traffic.progress,
    "notifications/cancelled": Traffic.cancelled,
}


class MendedStream:
    """A stream of messages from a server, as the SDK reads it."""

    def __init__(self, stream: Any, traffic: Traffic) -> None:
        self._stream = stream
        self._traffic = traffic

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        while not self._passes(item := await self._stream.receive()):
            pass
        return item

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._passes(item := await anext(self._stream)):
            pass
        return item

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        left: bool | None = await self._stream.__aexit__(*error)
        return left

    def _passes(self, item: Any) -> bool:
        message = getattr(item, "message", None)
        return message is None or self._traffic.arrived(message)


class NotedStream:
    """A stream of messages to a server, as the SDK writes it."""

    def __init__(self, stream: Any, traffic: Traffic) -> None:
        self._stream = stream
        self._traffic = traffic

    async def send(self, item: Any) -> None:
        _without_baggage(item.message)
        if (is_request := getattr(item.message, "method", None)) is not None:
            self._traffic.sent(item.message)  # before it is answered
        await self._stream.send(item)
        if is_request is None:
            self._traffic.sent(item.message)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> bool | None:
        left: bool | None = await self._stream.__aexit__(*error)
        return left


def _without_baggage(message: Any) -> None:
    """The SDK hands on OpenTelemetry's context: the ids of a trace say nothing, baggage is the program's own."""
    params = getattr(message, "params", None)
    if isinstance(params, dict) and isinstance(meta := params.get("_meta"), dict):
        meta.pop("baggage", None)
