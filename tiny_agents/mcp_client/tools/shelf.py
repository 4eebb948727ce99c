"""What is on offer to a model: the tools of servers and functions, in a list that the user of a client may change.

Whoever has that list, or one of its tools, may change it in place at any time. So once it was handed out, it is looked at
anew in each turn. Until then nobody can have changed it, and what was found for one turn holds for the next.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.inference.encoding import Settled
from tiny_agents.mcp_client.tools.table import (
    FUNCTIONS,
    OWN_TOOLS,
    SEARCH_TOOLS,
    Offer,
    ToolTable,
    find,
    name_of,
    refreshed,
    same_objects,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiny_agents.inference.types.chat import ChatCompletionInputTool
    from tiny_agents.mcp_client.connection.connection import Connection
    from tiny_agents.mcp_client.tools.functions import Functions


class Hand:
    """The tools that can be called in a turn. It is the same object in the next turn, where they are the same.

    Attributes:
        tools: All of them, those that end the turn first.
        offers: What each name means; None for a tool that is no server's and no function.
        exit_names: Names of those that end the turn.
        settled: Nobody can change any of them.
    """

    __slots__ = ("_without_search", "exit_names", "exits", "offers", "settled", "tools")

    def __init__(
        self,
        tools: Iterable[ChatCompletionInputTool],
        table: ToolTable,
        exit_tools: Sequence[ChatCompletionInputTool] = (),
        *,
        settled: bool = False,
    ) -> None:
        self.exit_names = frozenset(map(name_of, exit_tools))
        self.tools = [*exit_tools, *(tool for tool in tools if name_of(tool) not in self.exit_names)]
        self.offers = {name: table.find(name) for name in map(name_of, self.tools)}
        self.exits = _written(exit_tools)
        self.settled = settled and self.exits is not None
        self._without_search: list[ChatCompletionInputTool] | None = None

    @property
    def without_search(self) -> list[ChatCompletionInputTool]:
        """The tools where none is held back: the same list for all conversations."""
        if self._without_search is None:
            tools = [tool for tool in self.tools if name_of(tool) != SEARCH_TOOLS]
            self._without_search = Settled(tools) if self.settled else tools
        return self._without_search

    def find(self, name: str) -> Offer | None:
        """The tool that a model means by a name: of this name, or else of this name at just one server."""
        if (offer := self.offers.get(name)) is not None:
            return offer
        return find({name: offer for name, offer in self.offers.items() if offer is not None}, name)


class Shelf:
    """The tools on offer, brought up to date whenever somebody looks.

    Args:
        connections: The servers, in the order in which their tools are named.
        functions: Come after them.

    Attributes:
        table: Knows who has which tool.
        prefixes: By server, what the names of its tools begin with; None for no more than is needed.
        names: Of all that is on offer.
    """

    def __init__(self, connections: Mapping[str, Connection], functions: Functions) -> None:
        self.table = ToolTable()
        self.prefixes: dict[str, str | None] = {}
        self.names: set[str] = set()
        self._connections = connections
        self._functions = functions
        self._listed: dict[str, object] = {}  # server -> the tuple of tools that the table knows
        self._tools: list[ChatCompletionInputTool] = []
        self._lent = False
        self._hand: Hand | None = None
        self._seen: tuple[list[ChatCompletionInputTool], list[str]] = ([], [])  # of that hand: tools, and their names

    @property
    def tools(self) -> list[ChatCompletionInputTool]:
        """The list itself, to be changed as its user likes."""
        self.refresh()
        self.lend()
        return self._tools

    def with_tools(self, tools: Iterable[ChatCompletionInputTool]) -> Shelf:
        """The same with another list."""
        self.refresh()
        other = copy.copy(self)
        other.names, other._listed = set(self.names), dict(self._listed)
        other._tools, other._lent, other._hand = list(tools), True, None
        return other

    def lend(self) -> None:
        """Others get tools in their hands, and may change them from now on."""
        if not self._lent:
            self._lent, self._hand = True, None

    def is_empty(self) -> bool:
        self.refresh()
        return not self._tools

    def offered_names(self) -> list[str]:
        """Names of the tools in the list."""
        self.refresh()
        return list(map(name_of, self._tools))

    def refresh(self) -> None:
        """Take over what the servers offer now; names are given in the order they were added."""
        changed = False
        for name, connection in self._connections.items():
            if connection.tools is not self._listed.get(name, ()):
                self.table.put(name, connection.tools, prefix=self.prefixes.get(name))
                self._listed[name] = connection.tools
                changed = True
        if self._functions.tools is not self._listed.get(FUNCTIONS, ()):
            self.table.put(FUNCTIONS, self._functions.tools, entitled=OWN_TOOLS)
            self._listed[FUNCTIONS] = self._functions.tools
            changed = True
        if changed:
            definitions = [offer.definition() for offer in self.table.offers()]
            self._tools[:] = refreshed(self._tools, self.names, definitions)
            self.names = {tool.function.name for tool in definitions}
            self._hand = None

    def hand(self, exit_tools: Sequence[ChatCompletionInputTool]) -> Hand:
        """The tools of a turn, with those that end it."""
        self.refresh()
        last = self._hand
        if last is None or last.exits is None or last.exits != _written(exit_tools) or (self._lent and self._differs()):
            last = self._hand = Hand(self._tools, self.table, exit_tools, settled=not self._lent)
            self._seen = list(self._tools), _names(self._tools) if self._lent else []
        return last

    def _differs(self) -> bool:
        tools, names = self._seen
        return not same_objects(self._tools, tools) or _names(self._tools) != names


def _names(tools: Sequence[ChatCompletionInputTool]) -> list[str]:
    try:
        return list(map(_NAME, tools))
    except AttributeError:  # a dictionary among them
        return list(map(name_of, tools))


_NAME = attrgetter("function.name")


def _written(tools: Sequence[Any]) -> bytes | None:
    """What tools come to, to tell whether they changed; None where that can't be told."""
    try:
        return msgspec.json.encode(tools) if tools else b""
    except (TypeError, ValueError, RecursionError):
        return None
