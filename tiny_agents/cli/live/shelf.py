"""What a conversation showed only the start of, kept so that it can be shown whole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MAX_CHARS = 20_000_000
"""All of it; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class KeptResult:
    """A tool call that was shown."""

    name: str
    arguments: str
    text: str = field(repr=False)


@dataclass(slots=True)
class Shelf:
    """Results by number, and what the model thought."""

    results: dict[int, KeptResult] = field(default_factory=dict)
    thoughts: list[str] = field(default_factory=list)
    _number: int = 0

    def keep(self, result: KeptResult) -> int:
        """Its number."""
        self._number += 1
        self.results[self._number] = result
        size = sum(len(kept.text) for kept in self.results.values())
        while size > MAX_CHARS and len(self.results) > 1:
            size -= len(self.results.pop(next(iter(self.results))).text)
        return self._number

    def think(self, pieces: Sequence[str]) -> None:
        """Keep what was thought, in place of what was before the last few times."""
        self.thoughts.append("".join(pieces))
        del self.thoughts[:-20]
