"""Whether a tool is still what it was when it was first used.

What a tool's server says of it is read by the model as if the user had said it, and decides what the user is asked. A
server that is harmless on the first day and says something else on the second is noticed by this: each tool leaves a print
(hashes of its description, its schemas and its hints), and a print that is no longer the same is a change that somebody has
to be told of. A tool that is new, or gone, is no change: nobody has looked at it yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

MAX_PINS = 10_000
"""Tools of one server that are kept track of, those it no longer has included."""

MAX_NAME_CHARS = 256
"""A tool whose name is longer isn't kept track of; the protocol allows 128."""

_HASH_CHARS = 32
_SETS = frozenset({"required", "enum", "type"})  # keys of a JSON Schema whose lists are sets: their order says nothing


class ToolPrint(msgspec.Struct, frozen=True):
    """What a tool looked like: a hash of each part."""

    description: str = ""
    input: str = ""
    output: str = ""
    hints: str = ""

    def unlike(self, other: ToolPrint) -> tuple[str, ...]:
        """The parts that differ, in words."""
        parts = zip(_PARTS, msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return tuple(word for word, mine, theirs in parts if mine != theirs)


_PARTS = ("description", "input schema", "output schema", "annotations")


def print_of(listed: Mapping[str, Any]) -> ToolPrint:
    """The print of a tool, from its entry in a `tools/list` answer."""
    hints = listed.get("annotations") or {}
    said = {key: listed.get(key) for key in ("title", "description")} | {"hint": hints.get("title")}
    told = {key: value for key, value in hints.items() if value is not None and key != "title"}
    return ToolPrint(
        _hash({key: value for key, value in said.items() if value is not None}),
        _hash(_in_order(listed.get("inputSchema"))),
        _hash(_in_order(listed.get("outputSchema"))),
        _hash(told),
    )


def _hash(value: Any) -> str:
    import hashlib
    import json

    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_CHARS]


def _in_order(schema: Any) -> Any:
    """A schema with its sets sorted: some servers list what is required in another order each time they start."""
    if isinstance(schema, Mapping):
        return {str(key): _sorted(value) if key in _SETS else _in_order(value) for key, value in schema.items()}
    return [_in_order(item) for item in schema] if isinstance(schema, list) else schema


def _sorted(value: Any) -> Any:
    if not isinstance(value, list):
        return _in_order(value)  # a property may have such a name
    import json

    return sorted((_in_order(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True, default=str))


# ---------------------------------------------------------------- what is known, and what is there now


class Pin(msgspec.Struct, frozen=True):
    """What is known of a tool.

    Attributes:
        accepted: How it looked when it was first used, or when the user accepted it.
        told: How it looked when a change was last told of; None where none was.
    """

    accepted: ToolPrint
    told: ToolPrint | None = None


class Finding(msgspec.Struct, frozen=True):
    """What came of a look at a server's tools.

    Attributes:
        pins: What is known from now on.
        changed: Tools that aren't what was accepted, and what differs.
        news: Those of them nobody was told of yet.
        added: Tools that were never seen; empty at the very first look.
        removed: Those of `before` that are gone.
        unpinned: Tools that aren't kept track of: there are too many, or their names are too long.
    """

    pins: dict[str, Pin]
    changed: dict[str, tuple[str, ...]]
    news: dict[str, tuple[str, ...]]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unpinned: frozenset[str] = frozenset()


def look(pins: Mapping[str, Pin], now: Mapping[str, ToolPrint], before: Iterable[str]) -> Finding:
    """Compare what is known with what is there.

    Args:
        now: Print of each tool on offer.
        before: Names of the tools that were on offer the last time.
    """
    known = dict(pins)
    changed: dict[str, tuple[str, ...]] = {}
    news: dict[str, tuple[str, ...]] = {}
    unpinned = set()
    for name, found in now.items():
        pin = known.get(name)
        if pin is None:
            if len(known) < MAX_PINS and len(name) <= MAX_NAME_CHARS:
                known[name] = Pin(found)
            else:
                unpinned.add(name)
        elif found != pin.accepted:
            changed[name] = found.unlike(pin.accepted)
            if found != pin.told:
                news[name] = found.unlike(pin.told or pin.accepted)
                known[name] = Pin(pin.accepted, found)
    added = tuple(name for name in now if name not in pins) if pins else ()
    removed = tuple(name for name in before if name not in now)
    return Finding(known, changed, news, added, removed, frozenset(unpinned))


def accept(pins: Mapping[str, Pin], now: Mapping[str, ToolPrint], names: Iterable[str]) -> dict[str, Pin]:
    """What is known once the user takes these tools as they are now."""
    return {**pins, **{name: Pin(now[name]) for name in names if name in now}}
