"""A table of keys: how each is read, what a JSON Schema says of it, and a sentence for people. One row per key.

Strict reading, the JSON Schema and the tables of docs/definitions.md all come from these rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.errors import ConfigError

MINE = "^x-"
"""Keys that fit this pattern are the author's own, in every mapping of agent.yaml."""


_ANYWHERE = {
    "<<": "merges another mapping into this one, which is not supported: write its keys here. A whole value that is used "
    "twice can be marked, `key: &name value`, and repeated, `other: *name`"
}
"""What to say of names that are no key in any mapping."""

MAX_PROBLEMS = 50
"""After so many it is given up: whoever has more wrong mends these first, and nobody waits for a hostile file."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a value may be.

    Attributes:
        read: Takes it from the file; raises ConfigError where it is something else.
        schema: The same as JSON Schema, as far as that can say it.
    """

    read: Callable[[Value], Any]
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping.

    Attributes:
        says: What it means: a sentence without its full stop, with `code` in backquotes.
    """

    name: str
    shape: Shape
    says: str


@dataclass(frozen=True, slots=True)
class Table:
    """The keys of a mapping.

    Attributes:
        what: What the mapping is, as the start of "... has name, model, ...".
        hints: What to say of names that aren't keys, but look like some.
        needed: Keys that must be there, and why, as the end of "missing; ...".
    """

    what: str
    keys: tuple[Key, ...]
    hints: Mapping[str, str] = field(default_factory=dict)
    needed: Mapping[str, str] = field(default_factory=dict)

    @property
    def served(self) -> dict[str, Key]:
        """The keys by name."""
        return {key.name: key for key in self.keys}

    def read(self, mapping: Value) -> dict[str, Any]:
        """The values of `mapping` by key; `x-...` is left out, and what isn't in the table is an error.

        Raises:
            ConfigError: The first thing that is wrong; its `others` are the rest.
        """
        entries = mapping.mapping()
        known = self.served
        problems = Problems()
        found: dict[str, Any] = {}
        for name, value in entries.items():
            if name.startswith("x-"):
                continue
            with problems.noted():
                if name not in known:
                    raise value.error(self._unknown(name))
                found[name] = _read(known[name], value)
        with problems.noted():
            for name, why in self.needed.items():
                if name not in entries:
                    raise mapping.missing(name, why)
        problems.raise_first()
        return found

    def _unknown(self, name: str) -> str:
        if (hint := self.hints.get(name) or _ANYWHERE.get(name)) is not None:
            return hint
        known = self.served
        return f"unknown key{did_you_mean(name, known) or f'; {self.what} has ' + ', '.join(known)}"

    def schema(self) -> dict[str, Any]:
        """JSON Schema of such a mapping: these keys, the author's own, no others."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {key.name: {"description": key.says, **key.shape.schema} for key in self.served.values()},
            "patternProperties": {MINE: {}},
            "additionalProperties": False,
        }
        return schema | ({"required": list(self.needed)} if self.needed else {})

    @property
    def shape(self) -> Shape:
        """The shape of a value that is such a mapping."""
        return Shape(self.read, self.schema())


def _read(key: Key, value: Value) -> Any:
    if value.data is None:
        raise value.error("is empty; give it a value or remove the key")
    return key.shape.read(value)


class Problems:
    """Goes on after something wrong, so that all of it can be said at once."""

    def __init__(self) -> None:
        self._found: list[ConfigError] = []

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Take a ConfigError of the block, and those that it brings, for `raise_first`."""
        try:
            yield
        except ConfigError as error:
            self._found += [error, *error.others]
            error.others = ()
            if len(self._found) >= MAX_PROBLEMS:
                self.raise_first()

    def raise_first(self) -> None:
        """Raise the first error, with all the others in its `others`; nothing where there was none."""
        raise_together(self._found)


def raise_together(errors: list[ConfigError]) -> None:
    """Raise the first of `errors` with the rest in its `others`; nothing where there are none."""
    if errors:
        first, *others = errors
        first.others = tuple(others)
        raise first
