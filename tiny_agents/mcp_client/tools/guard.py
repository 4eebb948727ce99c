"""`ToolGuard`: looks at the tools of one server each time they are listed, and holds back what isn't to be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from tiny_agents.mcp_client.bounds import Pinning
from tiny_agents.mcp_client.events import ServerEvent, ToolChanged
from tiny_agents.mcp_client.text import readable
from tiny_agents.mcp_client.tools.pinning import Finding, ToolPrint, accept, look

if TYPE_CHECKING:
    from tiny_agents.mcp_client.tools.known_servers import KnownServer, KnownServers
    from tiny_agents.mcp_client.tools.table import ServerTool

logger = logging.getLogger("tiny_agents.mcp_client")

NAMED_CHANGES = 10
_NAME_CHARS = 80


class ToolGuard:
    """Knows the tools of one server.

    Attributes:
        changed: Tools that aren't what they were when they were first used or last accepted, and what differs.
        refused: Tools that are held back, and why, as a sentence for a model that calls one.
        unchecked: Those of them of which nobody knows whether they have changed: the file that would say so can't be used.
    """

    def __init__(
        self,
        server: str,
        identity: str,
        address: str,
        pinning: Pinning,
        known: KnownServers,
        emit: Callable[[ServerEvent], None],
    ) -> None:
        self.changed: dict[str, tuple[str, ...]] = {}
        self.refused: dict[str, str] = {}
        self.unchecked: tuple[str, ...] = ()
        self._server = server
        self._identity = identity
        self._address = address
        self._pinning = pinning
        self._known = known
        self._emit = emit
        self._now: dict[str, ToolPrint] = {}

    def passed(self, tools: Sequence[ServerTool]) -> list[ServerTool]:
        """The tools that may be used. What changed is told: as an event, and in one line of the log."""
        if self._pinning == "off":
            return list(tools)
        now = {tool.name: tool.print for tool in reversed(tools)}  # of several with a name the first one counts
        now = {tool.name: now[tool.name] for tool in tools}
        strict = self._pinning == "strict"
        found = self._look(now, strict)
        before, self._now, self.changed = self.unchecked, now, found.changed
        self.refused, self.unchecked = {}, ()
        if strict:
            self.refused = {name: self._refusal(name, parts) for name, parts in found.changed.items()}
            self.refused |= {name: self._too_many(name) for name in found.unpinned}
            self._hold_unchecked(before)
        self._tell(found, strict)
        return [tool for tool in tools if tool.name not in self.refused]

    def accept(self, names: Iterable[str] | None = None) -> list[str]:
        """Take tools as they are now, changed ones and unchecked ones; all if no names are given. Returns which ones."""
        held = (*self.changed, *self.unchecked)
        taken = [name for name in (held if names is None else names) if name in held]
        if taken:
            self._known.change(
                self._identity,
                lambda known: msgspec.structs.replace(known, pins=accept(known.pins, self._now, taken)),
            )
            self.unchecked = tuple(name for name in self.unchecked if name not in taken)
            for name in taken:
                self.changed.pop(name, None)
                self.refused.pop(name, None)
        return taken

    def _look(self, now: Mapping[str, ToolPrint], strict: bool) -> Finding:
        known = self._known.get(self._identity)
        found = look(known.pins, now, self._now)

        def note(known: KnownServer) -> KnownServer:
            if strict and self._known.problem is not None:
                return known  # nothing becomes known by being seen
            pins = look(known.pins, now, ()).pins
            return msgspec.structs.replace(known, name=self._server, address=self._address, pins=pins)

        self._known.change(self._identity, note)
        return found

    def _hold_unchecked(self, before: Sequence[str]) -> None:
        """Hold back what would count as seen for the first time only because the file that says otherwise can't be used."""
        problem = self._known.problem
        if problem is None:
            return
        pins = self._known.get(self._identity).pins
        self.unchecked = tuple(name for name in self._now if name not in pins and name not in self.refused)
        self.refused |= {name: self._not_known(name, problem) for name in self.unchecked}
        if set(self.unchecked) - set(before):
            logger.warning(
                "MCP server '%s': whether its tools have changed can't be told, since %s can't be used (%s). Not used until "
                "that file is mended or removed, or you accept them as they are (--accept-tools): %s",
                self._server,
                self._known.path,
                problem,
                _named(self.unchecked),
            )

    def _tell(self, found: Finding, strict: bool) -> None:
        if found.added or found.removed:
            logger.info(
                "MCP server '%s' has other tools than before: %d new, %d gone",
                self._server,
                len(found.added),
                len(found.removed),
            )
        if found.unpinned:
            logger.warning(
                "MCP server '%s' has had so many tools, or such long names, that %d of them aren't kept track of%s",
                self._server,
                len(found.unpinned),
                ": they are not used" if strict else "",
            )
        for name, parts in found.news.items():
            self._emit(ToolChanged(self._server, name, parts, refused=strict))
        if found.news:
            logger.warning(
                "MCP server '%s' changed %s since first used: %s. %s",
                self._server,
                "a tool" if len(found.news) == 1 else f"{len(found.news)} tools",
                _listed(found.news),
                "It is not used until you accept that (--accept-tools)"
                if strict
                else "Look at it: models do what descriptions say",
            )

    def _refusal(self, name: str, parts: Sequence[str]) -> str:
        return (
            f"the tool {_shown(name)} of the MCP server '{self._server}' is not what it was when it was first used (its "
            f"{_words(parts)} changed). It is not called before the user has accepted that; tell the user."
        )

    def _not_known(self, name: str, problem: str) -> str:
        return (
            f"whether the tool {_shown(name)} of the MCP server '{self._server}' has changed can't be told, since "
            f"{self._known.path} can't be used ({problem}). It is not called before that file is mended or removed, or the "
            "user has accepted the tool as it is; tell the user."
        )

    def _too_many(self, name: str) -> str:
        return (
            f"the MCP server '{self._server}' has had so many tools, or such long names, that {_shown(name)} can't be kept "
            "track of, so it is not called."
        )


def _listed(news: Mapping[str, Sequence[str]]) -> str:
    return _first([f"{_shown(name)} ({_words(parts)})" for name, parts in news.items()])


def _named(names: Sequence[str]) -> str:
    return _first([_shown(name) for name in names])


def _first(shown: Sequence[str]) -> str:
    more = [f"and {len(shown) - NAMED_CHANGES} more"] if len(shown) > NAMED_CHANGES else []
    return ", ".join([*shown[:NAMED_CHANGES], *more])


def _shown(name: str) -> str:
    name = " ".join(readable(name).split())
    return f"'{name if len(name) <= _NAME_CHARS else name[:_NAME_CHARS] + '…'}'"


def _words(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
