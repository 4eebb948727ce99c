"""Markdown that is still being written -> blocks that are finished, and the one that isn't. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

FENCE_LINES = 40
"""Lines of code after which a listing is shown in parts: what is finished of it needn't be drawn again."""
LONGEST = 12_000
"""Characters of an unfinished block; a longer one is cut behind a word."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`\n]*)$")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text in Markdown that means the same alone.

    Attributes:
        follows: It continues the block before, so nothing goes between them.
        opened: It is code whose fence was opened in an earlier part; `source` has it, too.
        unclosed: It is code whose fence is closed in a later part.
    """

    source: str
    follows: bool = False
    opened: bool = False
    unclosed: bool = False


@dataclass(slots=True)
class BlockReader:
    """Takes text as it comes.

    reader.feed(piece); reader.finished() -> blocks, each once; reader.rest -> what isn't finished
    """

    _pieces: list[str] = field(default_factory=list)
    _next: Block = field(default_factory=lambda: Block(""))

    def feed(self, piece: str) -> None:
        self._pieces.append(piece)

    @property
    def rest(self) -> Block:
        """The block that isn't finished; empty `source` where there is none."""
        if len(self._pieces) > 1:
            self._pieces[:] = ["".join(self._pieces)]
        text = "".join(self._pieces)
        return replace(self._next, source=(self._next.source + text if text.strip() else ""))

    def finished(self) -> Iterator[Block]:
        """The blocks that are finished by now."""
        text = "".join(self._pieces)
        while (cut := _cut(self._next, text)) is not None:
            block, self._next, text = cut
            if block.source.strip():
                yield block
        self._pieces[:] = [text]

    def end(self) -> Iterator[Block]:
        """All that is left: nothing more comes."""
        yield from self.finished()
        rest = self.rest
        self._pieces.clear()
        self._next = Block("")
        if rest.source:
            yield rest


def is_code(block: Block) -> bool:
    """Whether it is code between fences, or the beginning of some."""
    return block.opened or _FENCE.match(block.source.lstrip("\n").partition("\n")[0]) is not None


def _cut(head: Block, text: str) -> tuple[Block, Block, str] | None:
    """The first finished block, how the next one begins, and the text that is left; None where none is finished."""
    position = 0
    fence = _FENCE.match(head.source.rstrip("\n")) if head.opened else None
    lines_of_code = 0
    blank = False
    while (end := text.find("\n", position)) >= 0:
        line = text[position:end]
        after = end + 1
        if fence is not None:
            lines_of_code += 1
            if _closes(line, fence[1]):
                done = replace(head, source=head.source + text[:after], unclosed=False)
                return done, Block(""), text[after:]
            if lines_of_code >= FENCE_LINES:
                opening = f"{fence[0].strip()}\n"
                part = replace(head, source=head.source + text[:after], unclosed=True)
                return part, Block(opening, follows=True, opened=True), text[after:]
        elif not line.strip():
            blank = True
        elif blank and position and not line.startswith((" ", "\t")):
            return replace(head, source=text[:position]), Block(""), text[position:]
        elif (fence := _FENCE.match(line)) is not None:
            if text[:position].strip():
                return replace(head, source=text[:position]), Block("", follows=not blank), text[position:]
            lines_of_code = 0
        position = after
    # The line that isn't finished begins a new block already, if it doesn't begin with a space.
    if fence is None and blank and text[position : position + 1].strip() and text[:position].strip():
        return replace(head, source=text[:position]), Block(""), text[position:]
    if len(text) > LONGEST:
        at = max(text.rfind(" ", 0, LONGEST), text.rfind("\n", 0, LONGEST)) + 1 or LONGEST
        if fence is None:
            return replace(head, source=text[:at]), Block("", follows=True), text[at:]
        at = text.rfind("\n", 0, LONGEST) + 1 or LONGEST
        part = replace(head, source=head.source + text[:at], unclosed=True)
        return part, Block(f"{fence[0].strip()}\n", follows=True, opened=True), text[at:]
    return None


def _closes(line: str, opened_with: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(opened_with) and set(bare) == {opened_with[0]} and len(line) - len(line.lstrip()) < 4
