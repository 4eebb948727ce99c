"""Tools of many servers -> one list for the model, under names the model accepts. Pure.

MCP allows names of 128 characters with dots in them, and two servers may offer the same one; models take 64 of letters,
digits, `_` and `-`. So a tool has two names, and `ToolTable` leads from one to the other:

1. A legal name that is free is kept as it is.
2. Other characters become `_`; what is too long is cut and ends in a hash of the whole.
3. A name that is taken, or reserved for the agent's own tools, is qualified: `server__tool`; if even that is taken, it is
   numbered (`server__tool_2`).

A server that was given a prefix has all its tools qualified with it.

The server that was added first keeps its names: only the later one's are qualified, so nothing that a running
conversation has seen changes its name. A tool keeps its name also when its server is started again.
"""

from __future__ import annotations

import fnmatch
import itertools
import operator
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tiny_agents.inference.types.chat import ChatCompletionInputFunctionDefinition, ChatCompletionInputTool
from tiny_agents.mcp_client.text import readable, shortened
from tiny_agents.mcp_client.tools.pinning import ToolPrint, print_of
from tiny_agents.records import Discreet

MAX_NAME = 64
MAX_GONE = 10_000
MAX_DESCRIPTION_CHARS = 8_000
NAMED_TOOLS = 20

READ_ON = "read_on"
"""Our own tool that reads on in a result that was cut; offered once there is something to read."""

READ_LINK = "read_resource_link"
"""Our own tool that reads what a link leads to; offered once a result had one."""

SEARCH_TOOLS = "search_tools"
"""Our own tool that finds tools; offered where there are many."""

LOAD_SKILL = "load_skill"
"""The tool with which an agent's model reads its skills."""

OWN_TOOLS = frozenset({READ_ON, READ_LINK, SEARCH_TOOLS, LOAD_SKILL})
"""The model is told to use these, so no other tool may go by such a name."""

RESERVED_NAMES = OWN_TOOLS | {"task_complete", "ask_question"}
"""Ours, and the tools with which an agent ends its loop; a server's tool of that name is qualified."""

FUNCTIONS = "function"
"""What stands for the server in the names of functions that have to be qualified, and in errors."""

_TEXTS = frozenset({"description", "title", "$comment"})
_VALUES = frozenset({"enum", "const", "default", "examples"})  # keys of a schema that hold data, not schemas
_BY_NAME = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]")


class ServerTool(Discreet, msgspec.Struct, frozen=True):
    """A tool as its server lists it.

    Attributes:
        parameters: JSON Schema of the arguments, always an object with `properties`.
        read_only: The server says that a call changes nothing.
        idempotent: The server says that a second call with the same arguments changes nothing more.
        destructive: Whether the server says that a call may destroy something; None where it says neither.
        open_world: Whether it says that a call reaches beyond a closed domain, such as into the web; None likewise.
        print: How all that its server says of it looked, to tell whether that changes.
    """

    not_shown = frozenset({"print"})

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    read_only: bool = False
    idempotent: bool = False
    destructive: bool | None = None
    open_world: bool | None = None
    print: ToolPrint = ToolPrint()

    @property
    def repeatable(self) -> bool:
        """Whether a call that may or may not have run can be made once more."""
        return self.read_only or self.idempotent


def read_tool(listed: Mapping[str, Any]) -> ServerTool:
    """A tool from its entry in a `tools/list` answer."""
    hints = listed.get("annotations") or {}
    description = listed.get("description") or listed.get("title") or hints.get("title")
    return ServerTool(
        name=str(listed["name"]),
        description=shortened(readable(str(description)), MAX_DESCRIPTION_CHARS) if description else None,
        parameters=object_schema(_seen(listed.get("inputSchema"))),
        read_only=hints.get("readOnlyHint") is True,
        idempotent=hints.get("idempotentHint") is True,
        destructive=_flag(hints.get("destructiveHint")),
        open_world=_flag(hints.get("openWorldHint")),
        print=print_of(listed),
    )


def _seen(schema: Any) -> Any:
    """A schema whose texts for the reader hide nothing, and are bounded; names and values stay exactly as they are."""
    if isinstance(schema, list):
        return [_seen(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _seen_as(key, value) for key, value in schema.items()}


def _seen_as(key: str, value: Any) -> Any:
    if key in _VALUES:
        return value
    if key in _TEXTS and isinstance(value, str):
        return shortened(readable(value), MAX_DESCRIPTION_CHARS)
    if key in _BY_NAME and isinstance(value, Mapping):
        return {name: _seen(item) for name, item in value.items()}
    return _seen(value)


def _flag(hint: Any) -> bool | None:
    return hint if isinstance(hint, bool) else None


def object_schema(schema: Any) -> dict[str, Any]:
    """`schema` as every model's API takes it: an object that has `properties`, if only an empty one."""
    known = dict(schema) if isinstance(schema, Mapping) else {}
    if not isinstance(known.get("type"), str):
        known["type"] = "object"
    if not isinstance(known.get("properties"), Mapping):
        known["properties"] = {}
    return known


class ToolFilter(msgspec.Struct, frozen=True):
    """Which tools of a server may be used, by the names it gave them.

    Attributes:
        names: The only ones, exactly so; None for no such limit.
        allow: Patterns with `*`, `?` and `[...]`, of which one must fit; None for no such limit.
        deny: Patterns of which none may fit: they win over the other two.
    """

    names: tuple[str, ...] | None = None
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        return (
            (self.names is None or name in self.names)
            and (self.allow is None or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.allow))
            and not any(fnmatch.fnmatchcase(name, pattern) for pattern in self.deny)
        )

    def idle(self, offered: Collection[str]) -> list[str]:
        """The names and patterns that fit nothing that is offered, as a message may show them."""
        exact = [f"{name!r} (allowed_tools)" for name in self.names or () if name not in offered]
        globs = (("tools.allow", self.allow or ()), ("tools.deny", self.deny))
        return exact + [
            f"{pattern!r} ({key})"
            for key, patterns in globs
            for pattern in patterns
            if not fnmatch.filter(offered, pattern)
        ]


ALL_TOOLS = ToolFilter()


def select(tools: Sequence[ServerTool], chosen: ToolFilter) -> tuple[list[ServerTool], list[str]]:
    """The tools that may be used, and the names and patterns of the filter that fit none."""
    return [tool for tool in tools if chosen.takes(tool.name)], chosen.idle([tool.name for tool in tools])


# ---------------------------------------------------------------- names


def legal_name(name: str) -> str:
    """`name` with what a model's API refuses replaced; a legal one comes back as it is."""
    if _LEGAL.fullmatch(name):
        return name
    cleaned = _ILLEGAL.sub("_", name)
    if not cleaned.strip("_-"):  # nothing of it can be read, or it was empty
        return f"tool_{_hash(name)}"
    return _fit(cleaned, name)


def _names(server: str, tool: str, prefix: str | None = None) -> Iterator[str]:
    """Names for a tool, best first, without end."""
    plain = legal_name(tool)
    if prefix is None:
        yield plain
    qualified = f"{_ILLEGAL.sub('_', prefix or server)}__{plain}"
    whole = f"{server}\0{tool}"
    yield _fit(qualified, whole)
    for number in itertools.count(2):
        yield f"{_fit(qualified, whole, MAX_NAME - len(str(number)) - 1)}_{number}"


def _fit(name: str, whole: str, limit: int = MAX_NAME) -> str:
    return name if len(name) <= limit else f"{name[: limit - 9]}_{_hash(whole)}"


def _hash(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


# ---------------------------------------------------------------- the table


class Offer(msgspec.Struct, frozen=True):
    """A tool under the name the model knows it by."""

    name: str
    server: str
    tool: ServerTool

    def definition(self) -> ChatCompletionInputTool:
        return ChatCompletionInputTool(
            function=ChatCompletionInputFunctionDefinition(
                name=self.name, description=self.tool.description, parameters=dict(self.tool.parameters)
            )
        )


class ToolTable:
    """All tools on offer, in the order their servers were added and listed them."""

    def __init__(self, reserved: Iterable[str] = RESERVED_NAMES) -> None:
        self._reserved = frozenset(reserved)
        self._tools: dict[str, list[ServerTool]] = {}
        self._given: dict[tuple[str, str], str] = {}  # (server, tool) -> name; kept while the server is known
        self._offers: Mapping[str, Offer] = {}

    def put(
        self, server: str, tools: Iterable[ServerTool], *, prefix: str | None = None, entitled: Collection[str] = ()
    ) -> None:
        """Add the tools of `server`, or replace those it had. Of tools with the same name the first one counts.

        Args:
            prefix: Begins all their names, with two underscores; None changes only those that are taken.
            entitled: Reserved names that these tools may have.
        """
        unique = list({tool.name: tool for tool in reversed(list(tools))}.values())[::-1]
        self._tools[server] = unique
        taken = {*self._reserved.difference(entitled), *self._given.values()}
        new = [tool.name for tool in unique if (server, tool.name) not in self._given]
        for name in sorted(new, key=lambda name: not _LEGAL.fullmatch(name)):  # legal names first: they can be kept
            given = next(candidate for candidate in _names(server, name, prefix) if candidate not in taken)
            self._given[server, name] = given
            taken.add(given)
        self._forget_gone(server, {tool.name for tool in unique})
        self._rebuild()

    def _forget_gone(self, server: str, offered: Collection[str]) -> None:
        """Of the tools that a server no longer has, only the latest keep their names for their return."""
        gone = [key for key in self._given if key[0] == server and key[1] not in offered]
        for key in gone[: max(0, len(gone) - MAX_GONE)]:
            del self._given[key]

    def remove(self, server: str) -> None:
        """Forget `server`; its names become free."""
        self._tools.pop(server, None)
        self._given = {key: name for key, name in self._given.items() if key[0] != server}
        self._rebuild()

    def find(self, name: str) -> Offer | None:
        """As the function `find`, among all of them."""
        return find(self._offers, name)

    def was(self, name: str) -> tuple[str, str] | None:
        """Server and tool that a name is given to, also while the tool isn't on offer."""
        return next((key for key, given in self._given.items() if given == name), None)

    def offers(self) -> list[Offer]:
        return list(self._offers.values())

    def _rebuild(self) -> None:
        self._offers = {
            name: Offer(name, server, tool)
            for server, tools in self._tools.items()
            for tool in tools
            for name in (self._given[server, tool.name],)
        }


def find(offers: Mapping[str, Offer], name: str) -> Offer | None:
    """The tool of this name: the model's, or else the server's own if just one server has it."""
    if (offer := offers.get(name)) is not None:
        return offer
    same = [offer for offer in offers.values() if offer.tool.name == name]
    return same[0] if len(same) == 1 else None


def unknown_tool(name: str, offered: Collection[str]) -> str:
    """That there is no such tool, and which ones there are instead."""
    import difflib

    near = difflib.get_close_matches(legal_name(name), offered, n=3, cutoff=0.5)
    if near:
        return f"there is no tool {name[:100]!r}. Did you mean {' or '.join(repr(other) for other in near)}?"
    names = ", ".join(list(offered)[:NAMED_TOOLS])
    more = f" and {len(offered) - NAMED_TOOLS} more" if len(offered) > NAMED_TOOLS else ""
    return f"there is no tool {name[:100]!r}. The tools are: {names or 'none'}{more}."


def refreshed(
    current: Iterable[ChatCompletionInputTool], before: Collection[str], now: Sequence[ChatCompletionInputTool]
) -> list[ChatCompletionInputTool]:
    """A list of tools brought up to date, with what its owner did to it left alone.

    Args:
        current: The list; its owner may have added tools of their own or taken some out.
        before: Names of the tools that were on offer when it was last brought up to date.
        now: The tools on offer now.
    """
    fresh = {tool.function.name: tool for tool in now}
    kept = [fresh.get(name_of(tool), tool) for tool in current if name_of(tool) in fresh or name_of(tool) not in before]
    return kept + [tool for name, tool in fresh.items() if name not in before]


def name_of(tool: Any) -> str:
    """The name of a tool as the model gets it: a record, a dictionary, or one in the other. Often asked, so it is fast."""
    function = tool.function if type(tool) is ChatCompletionInputTool else tool["function"]
    name: str = function.name if type(function) is ChatCompletionInputFunctionDefinition else function["name"]
    return name


def same_objects(these: Sequence[Any], those: Sequence[Any]) -> bool:
    """Whether two lists hold the very same objects, in the same order; fast also for thousands."""
    return len(these) == len(those) and all(map(operator.is_, these, those))
