"""What a turn has to know of all the messages before it, kept up to date as they grow instead of read again each time."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.tools.table import SEARCH_TOOLS

FOUND = re.compile(r"^- `([A-Za-z0-9_-]{1,64})`\(", re.MULTILINE)
"""How a tool stands in the result of a search."""


class Recall:
    """Follows a conversation.

    Attributes:
        ids: Of all tool calls in it.
        tools: Names of tools that were called or found, the latest last.
    """

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.tools: dict[str, None] = {}
        self._count = 0
        self._first: Any = None
        self._last: Any = None

    def follow(self, messages: Sequence[Any]) -> None:
        """Take notice of what is new. Another conversation, or one that was cut back, is read from its beginning."""
        count = self._count
        same = count <= len(messages) and (
            count == 0 or (messages[0] is self._first and messages[count - 1] is self._last)
        )
        if not same:
            self.ids, self.tools, count = set(), {}, 0
        for message in messages[count:] if count else messages:
            self._note(message)
        self._count = len(messages)
        self._first, self._last = (messages[0], messages[-1]) if messages else (None, None)

    def _note(self, message: Any) -> None:
        if type(message) is ChatCompletionInputMessage and message.role == "tool" and message.name != SEARCH_TOOLS:
            return  # most of a long conversation
        for call in message.get("tool_calls") or ():
            self.ids.add(str(call.get("id")))
            self._touch(str(call["function"].get("name")))
        if message.get("role") == "tool" and message.get("name") == SEARCH_TOOLS:
            for name in reversed(FOUND.findall(str(message.get("content")))):  # the best one is to stay longest
                self._touch(name)

    def _touch(self, name: str) -> None:
        self.tools.pop(name, None)
        self.tools[name] = None

    def latest(self, among: Collection[str], most: int) -> set[str]:
        """The tools that were called or found last, of those in `among`."""
        wanted: set[str] = set()
        for name in reversed(self.tools):
            if len(wanted) >= most:
                break
            if name in among:
                wanted.add(name)
        return wanted
