"""What agents do that are tools: a line for each of their calls, with the way to it. Pure.

researcher ▸ look_up {"city": "Oslo"}
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from tiny_agents.cli.screen.events import Aside, EventReader, ToolCall
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.events import InnerEvent

ARGUMENT_COLUMNS = 200


class InnerCalls:
    """Follows the calls of agents below the one that is talked to.

    Args:
        hidden_tools: Tools of the agent loop itself; they aren't told.
    """

    def __init__(self, hidden_tools: Collection[str] = ()) -> None:
        self._hidden = frozenset(hidden_tools)
        self._readers: dict[tuple[str | None, ...], EventReader] = {}

    def read(self, event: InnerEvent) -> Iterator[Aside]:
        """What there is to say about an event."""
        names: list[str] = []
        way: list[str | None] = []
        inmost: Any = event
        while isinstance(inmost, InnerEvent):
            names.append(inmost.tool)
            way += (inmost.tool, inmost.call)
            inmost = inmost.event
        if not isinstance(inmost, (ChatCompletionStreamOutput, ChatCompletionInputMessage)):
            return
        reader = self._readers.setdefault(tuple(way), EventReader())
        for happened in reader.read(inmost):
            if isinstance(happened, ToolCall) and happened.name not in self._hidden:
                place = "/".join(map(one_line, names))
                arguments = one_line(happened.arguments, ARGUMENT_COLUMNS)
                yield Aside(f"{place} ▸ {one_line(happened.name)} {arguments}".rstrip())
