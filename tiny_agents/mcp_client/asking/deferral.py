"""Where there are many tools, most of them aren't sent: the model finds them with a search, and gets those it found.

A tool that isn't sent is still there: a call of it by its name is made, and checked, like any other.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from tiny_agents.errors import UsageError
from tiny_agents.inference.encoding import Settled, encode_json
from tiny_agents.inference.types.chat import ChatCompletionInputFunctionDefinition, ChatCompletionInputTool
from tiny_agents.mcp_client.asking.recall import Recall
from tiny_agents.mcp_client.asking.tool_search import ToolIndex
from tiny_agents.mcp_client.bounds import MAX_TOOLS
from tiny_agents.mcp_client.events import ToolsDeferred
from tiny_agents.mcp_client.text import shortened
from tiny_agents.mcp_client.tools.functions import Functions
from tiny_agents.mcp_client.tools.table import FUNCTIONS, SEARCH_TOOLS, Offer, name_of

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.servers import Defer
    from tiny_agents.mcp_client.tools.shelf import Hand

MAX_TOOL_TOKENS = 20_000
"""With more than this many tokens of tools, too."""

FEW_TOOLS = 10
"""So many are always sent, however long they are."""

MAX_FOUND = 20
DESCRIBED_CHARS = 200
NAMED_SERVERS = 30
BYTES_PER_TOKEN = 4

_NONE: dict[str, Offer] = {}
_NOTHING: frozenset[str] = frozenset()


class _Sent(NamedTuple):
    """What was sent last, and what that followed from."""

    hand: Hand
    deferred: dict[str, Offer]
    shown: Set[str]
    tools: list[ChatCompletionInputTool]


class Deferral:
    """Decides which tools are sent.

    Args:
        functions: Where the search is added once it is needed.
        emit: Told when tools are held back.
        max_tools: How many tools are all sent.

    Attributes:
        room: How many tokens of tools are all sent; None for any number.
        modes: What the user says about each server.
        recall: What the conversation has been about.
    """

    def __init__(
        self,
        functions: Functions,
        emit: Callable[[ToolsDeferred], None],
        *,
        max_tools: int = MAX_TOOLS,
    ) -> None:
        if max_tools < 1:
            raise UsageError(f"max_tools must be at least 1, not {max_tools!r}")
        self.modes: dict[str, Defer] = {}
        self.recall = Recall()
        self._functions = functions
        self._emit = emit
        self._max_tools = max_tools
        self.room: Callable[[], int | None] = lambda: MAX_TOOL_TOKENS
        self._tokens: dict[int, tuple[Any, int]] = {}  # by identity of the tool, which is held so that it stays its own
        self._summed: tuple[Hand | None, int] = (None, 0)
        self._known: list[Offer] = []  # those that a search finds
        self._index: tuple[list[Offer], ToolIndex] | None = None
        self._told: tuple[int, int] | None = None
        self._held: tuple[Hand | None, bool, dict[str, Offer]] = (None, False, {})
        self._sent: _Sent | None = None

    def beside(self, emit: Callable[[ToolsDeferred], None]) -> Deferral:
        """The same for another conversation."""
        other = copy.copy(self)
        other._emit = emit
        other.recall, other._tokens, other._told, other._sent = Recall(), {}, None, None
        return other

    def offered(
        self,
        hand: Callable[[Sequence[ChatCompletionInputTool]], Hand],
        exit_tools: Sequence[ChatCompletionInputTool],
        messages: Sequence[Any],
    ) -> tuple[list[ChatCompletionInputTool], Hand]:
        """The tools that are sent in a turn, and all that can be called in it.

        Args:
            hand: All there are at the moment, with those that end the turn.
        """
        known = hand(exit_tools)
        if self.begins(known):
            return self.offered(hand, exit_tools, messages)
        return self.sent(known, messages), known

    def ids_in(self, messages: Sequence[Any]) -> set[str]:
        """Ids of all tool calls of the conversation."""
        self.recall.follow(messages)
        return self.recall.ids

    def begins(self, hand: Hand) -> bool:
        """Whether some of the tools should be held back and there is no search yet; then it is added now."""
        if self._functions.has(SEARCH_TOOLS) or not self._deferred(hand):
            return False
        self._functions.add(self.search_tools, SEARCH_TOOLS, None, own=True)
        return True

    def sent(self, hand: Hand, messages: Sequence[Any]) -> list[ChatCompletionInputTool]:
        """The tools that are sent, in their order: all, or the search and those that this conversation has come across."""
        self.recall.follow(messages)
        deferred = self._deferred(hand) if hand.offers.get(SEARCH_TOOLS) is not None else _NONE
        shown = self.recall.latest(deferred, self._max_tools) if deferred else _NOTHING
        last = self._sent
        if last is None or last.hand is not hand or last.deferred is not deferred or last.shown != shown:
            last = self._sent = _Sent(hand, deferred, shown, self._chosen(hand, deferred, shown))
        return last.tools if hand.settled else list(last.tools)

    def _chosen(self, hand: Hand, deferred: dict[str, Offer], shown: Set[str]) -> list[ChatCompletionInputTool]:
        if not deferred:
            self._told = None
            return hand.without_search
        self._known = list(deferred.values())
        sent: list[ChatCompletionInputTool] = []
        saved = 0
        for tool in hand.tools:
            name = name_of(tool)
            if name == SEARCH_TOOLS:
                sent.append(self._described(tool))
            elif name in deferred and name not in shown:
                saved += self._tokens_of(tool)
            else:
                sent.append(tool)
        self._keep_tokens(hand.tools)
        if self._told != (told := (len(hand.tools), len(deferred))):
            self._told = told
            self._emit(ToolsDeferred(len(sent), len(hand.tools), saved))
        return Settled(sent) if hand.settled else sent

    def search_tools(
        self,
        query: Annotated[str, "What the tool should do, in a few words; or its name."],
        limit: Annotated[int, "How many tools at most, up to 20."] = 5,
    ) -> str:
        """Find tools that aren't shown yet. What is found can be called from the next turn on."""
        found = self._searched().search(query, min(max(limit, 1), MAX_FOUND))
        if not found:
            return f"No tool fits {query[:100]!r}. Try other words. {_servers(self._known)}"
        lines = [f"- `{offer.name}`({', '.join(_parameters(offer))}): {_described_in_short(offer)}" for offer in found]
        return "\n".join([f"{len(found)} of {len(self._known)} tools; they can be called now:", *lines])

    def _searched(self) -> ToolIndex:
        known = self._known
        if self._index is None or self._index[0] != known:
            self._index = (known, ToolIndex(known))
        return self._index[1]

    def _deferred(self, hand: Hand) -> dict[str, Offer]:
        """The tools that may be held back, by name: the same object, where nothing has changed."""
        many = self._is_many(hand)
        if not many and "always" not in self.modes.values():
            return _NONE
        if self._held[0] is not hand or self._held[1] is not many:
            wanted = {"auto": many, "always": True, "never": False}
            found = {
                name: offer
                for name, offer in hand.offers.items()
                if offer is not None and offer.server != FUNCTIONS and wanted[self.modes.get(offer.server, "auto")]
            }
            self._held = hand, many, found
        return self._held[2]

    def _is_many(self, hand: Hand) -> bool:
        return len(hand.tools) > self._max_tools + self._functions.has(SEARCH_TOOLS) or self._is_long(hand)

    def _is_long(self, hand: Hand) -> bool:
        if len(hand.tools) <= FEW_TOOLS or (room := self.room()) is None:
            return False
        if self._summed[0] is not hand:
            self._summed = hand, sum(map(self._tokens_of, hand.tools))
        return self._summed[1] > room

    def _tokens_of(self, tool: ChatCompletionInputTool) -> int:
        known = self._tokens.get(id(tool))
        if known is None:
            known = self._tokens[id(tool)] = (tool, len(encode_json(tool)) // BYTES_PER_TOKEN)
        return known[1]

    def _keep_tokens(self, tools: Sequence[ChatCompletionInputTool]) -> None:
        if len(self._tokens) > 2 * len(tools):  # tools come and go
            self._tokens = {id(tool): self._tokens[id(tool)] for tool in tools if id(tool) in self._tokens}

    def _described(self, tool: ChatCompletionInputTool) -> ChatCompletionInputTool:
        """The search, with what there is to be found."""
        function = tool["function"]
        return ChatCompletionInputTool(
            function=ChatCompletionInputFunctionDefinition(
                name=SEARCH_TOOLS,
                description=f"{function['description']} {_servers(self._known)}",
                parameters=function["parameters"],
            )
        )


def _servers(offers: Sequence[Offer]) -> str:
    counts = Counter(offer.server for offer in offers)
    named = ", ".join(
        f"{' '.join(server.split())[:60]} ({count})" for server, count in counts.most_common(NAMED_SERVERS)
    )
    more = f" and {len(counts) - NAMED_SERVERS} more" if len(counts) > NAMED_SERVERS else ""
    return f"Servers, and how many tools they have: {named}{more}."


def _parameters(offer: Offer) -> list[str]:
    properties = offer.tool.parameters.get("properties")
    return [str(name) for name in properties] if isinstance(properties, Mapping) else []


def _described_in_short(offer: Offer) -> str:
    return shortened(" ".join((offer.tool.description or "no description").split()), DESCRIBED_CHARS).split("\n")[0]
