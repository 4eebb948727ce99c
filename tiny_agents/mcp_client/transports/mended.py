"""What arrives is mended before it is read, so that one odd tool doesn't cost a list; what is asked is counted."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from tiny_agents.errors import redact
from tiny_agents.mcp_client.connection.greeting import mended_greeting
from tiny_agents.mcp_client.protocol.messages import URL_ELICITATION_REQUIRED, Message
from tiny_agents.mcp_client.results.mending import mended_answer
from tiny_agents.mcp_client.text import readable, without_secrets
from tiny_agents.mcp_client.tools.mending import complete, listed, mended_progress, mended_tools
from tiny_agents.mcp_client.transports.bounds import MAX_DEPTH, too_deep

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_ASKED = 500
"""Most requests of one server that wait for our answer; more are dropped, as nobody reads the answers."""

MAX_REMEMBERED = 10_000
"""Requests of ours of which it is remembered what they asked for: those without an answer."""

MAX_SAID_CHARS = 1_000


class Traffic:
    """What goes back and forth with one server: requests without an answer, on either side.

    Args:
        secrets: What is left out of errors; more may be added later.
    """

    def __init__(self, server: str, secrets: Sequence[str] = ()) -> None:
        self.server = server
        self._secrets = secrets
        self._ours: OrderedDict[str, str] = OrderedDict()  # id -> method
        self._theirs: set[str] = set()
        self._told: set[str] = set()

    def sent(self, message: Message) -> None:
        """A message of ours is on its way."""
        method, id = message.get("method"), message.get("id")
        if id is None:
            return
        if method is None:
            self._theirs.discard(str(id))
            return
        self._ours[str(id)] = method
        while len(self._ours) > MAX_REMEMBERED:
            self._ours.popitem(last=False)

    def arrived(self, message: Message) -> bool:
        """Look at a message of the server's, and mend it in place; says whether it is to be passed on."""
        method, id = message.get("method"), message.get("id")
        if method is None:
            asked = self._ours.pop(str(id), "")
            if (error := message.get("error")) is not None:
                message["error"] = self._without_secrets(error)
            else:
                result = message["result"] = _MENDED.get(asked, _as_it_is)(self, message["result"])
                complete(result)
            return True
        if id is None:
            return _NOTICES.get(method, _passed)(self, message)
        if len(self._theirs) >= MAX_ASKED:
            self.warn("it asks without end and takes no answers; what it asks is dropped")
            return False
        self._theirs.add(str(id))
        return True

    def progress(self, message: Message) -> bool:
        if (params := mended_progress(message.get("params"))) is None:
            logger.debug("MCP server '%s': a report of progress without a usable number was dropped", self.server)
            return False
        message["params"] = params
        return True

    def cancelled(self, message: Message) -> bool:
        if isinstance(params := message.get("params"), dict):
            self._theirs.discard(str(params.get("requestId")))
        return True

    def tools(self, result: dict[str, Any]) -> dict[str, Any]:
        mended = self.page(result)
        if isinstance(tools := mended.get("tools"), list):
            mended["tools"], problems = mended_tools(tools)
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

    def _without_secrets(self, error: dict[str, Any]) -> dict[str, Any]:
        """An error for all who are told of it: whoever waits for the answer, and who traces."""
        said = {"code": error["code"], "message": redact(error["message"], self._secrets)}
        if (data := error.get("data")) is not None:
            opened = error["code"] == URL_ELICITATION_REQUIRED  # addresses that are to be opened as they are
            said["data"] = data if opened else without_secrets(data, self._secrets)
        return said


def _as_it_is(_: Traffic, result: dict[str, Any]) -> dict[str, Any]:
    return result


def _passed(_: Traffic, __: Message) -> bool:
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

_NOTICES: dict[str, Callable[[Traffic, Message], bool]] = {
    "notifications/progress": Traffic.progress,
    "notifications/cancelled": Traffic.cancelled,
}
