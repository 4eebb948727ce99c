"""Markdown that is still being written -> blocks that are finished, and the one that isn't. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

FENCE_LINES = 40
"""Lines of code after which a listing is shown in parts: what is finished of it needn't be drawn again."""
LONG = 2_000
"""Characters from which on a block is shown in parts, too: it is cut before the next line that can begin one."""
LONGEST = 6_000
"""Characters of an unfinished block; a longer one is cut behind a line, or a word."""

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`\n]*)$")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])[ \t]")
_TABLE_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text in Markdown that means the same alone.

    Attributes:
        follows: It continues the block before, so nothing goes between them.
        opened: It is code or a table that began in an earlier part; `source` has its fence or its head, too.
        unclosed: It is code or a table that goes on in a later part.
    """

    source: str
    follows: bool = False
    opened: bool = False
    unclosed: bool = False


@dataclass(slots=True)
class BlockReader:
    """Takes text as it comes.

    reader.feed(piece); while block := reader.take(): ...; reader.rest -> what isn't finished
    """

    _pieces: list[str] = field(default_factory=list)
    _begun: int = 0  # characters of the first piece that were handed out
    _next: Block = field(default_factory=lambda: Block(""))

    def feed(self, piece: str) -> None:
        self._pieces.append(piece)

    @property
    def rest(self) -> Block:
        """The block that isn't finished; empty `source` where there is none."""
        text = self._text()[self._begun :]
        return replace(self._next, source=(self._next.source + text if text.strip() else ""))

    def take(self) -> Block | None:
        """The next block that is finished by now; None where there is none."""
        text = self._text()
        while (cut := _cut(self._next, text[self._begun : self._begun + LONGEST + 1])) is not None:
            block, self._next, length = cut
            self._begun += length
            if block.source.strip():
                return block
        return None

    def end(self) -> Iterator[Block]:
        """All that is left: nothing more comes."""
        while (block := self.take()) is not None:
            yield block
        rest = self.rest
        self._pieces.clear()
        self._begun, self._next = 0, Block("")
        if rest.source:
            yield rest

    def _text(self) -> str:
        if len(self._pieces) > 1:
            self._pieces[:] = ["".join(self._pieces)[self._begun :]]
            self._begun = 0
        return self._pieces[0] if self._pieces else ""


def is_code(block: Block) -> bool:
    """Whether it is code between fences, or the beginning of some."""
    return _FENCE.match(block.source.lstrip("\n").partition("\n")[0]) is not None


def _cut(head: Block, text: str) -> tuple[Block, Block, int] | None:
    """The first finished block, how the next one begins, and how much of `text` it took; None where none is finished.

    Args:
        text: What comes behind `head`; only its first `LONGEST` characters count, and one more where there are any.
    """
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
                return replace(head, source=head.source + text[:after], unclosed=False), Block(""), after
            if lines_of_code >= FENCE_LINES or after >= LONG:
                return _unclosed(head, text, after, fence)
        elif not line.strip():
            blank = True
        elif blank and position and not line.startswith((" ", "\t")):
            return replace(head, source=head.source + text[:position]), Block(""), position
        elif (fence := _FENCE.match(line)) is not None:
            if (head.source + text[:position]).strip():
                return replace(head, source=head.source + text[:position]), Block("", follows=not blank), position
            lines_of_code = 0
        elif position >= LONG and _can_begin(line, head.source + text):
            return _parted(head, text, position)
        position = after
    # The line that isn't finished begins a new block already, if it doesn't begin with a space.
    if fence is None and blank and text[position : position + 1].strip() and text[:position].strip():
        return replace(head, source=head.source + text[:position]), Block(""), position
    if len(text) > LONGEST:
        line_end = text.rfind("\n", LONGEST // 2, LONGEST) + 1
        if fence is not None:
            return _unclosed(head, text, line_end or LONGEST, fence)
        return _parted(head, text, line_end or text.rfind(" ", 0, LONGEST) + 1 or LONGEST)
    return None


def _unclosed(head: Block, text: str, at: int, fence: re.Match[str]) -> tuple[Block, Block, int]:
    """The beginning of a listing, whose rest is a listing, too."""
    part = replace(head, source=head.source + text[:at], unclosed=True)
    return part, Block(f"{fence[0].strip()}\n", follows=True, opened=True), at


def _parted(head: Block, text: str, at: int) -> tuple[Block, Block, int]:
    """The beginning of a block. If it is a table, so is the rest, with the same head."""
    source = head.source + text[:at]
    if (table := table_head(source)) is not None:
        return replace(head, source=source, unclosed=True), Block(table, follows=True, opened=True), at
    return replace(head, source=source), Block("", follows=True), at


def table_head(source: str) -> str | None:
    """The first two lines of a table; None for another block."""
    lines = source.lstrip("\n").split("\n", 2)
    is_table = len(lines) > 2 and "|" in lines[0] and _TABLE_RULE.match(lines[1]) and "-" in lines[1]
    return f"{lines[0]}\n{lines[1]}\n" if is_table else None


def _can_begin(line: str, block: str) -> bool:
    """Whether the rest of a long block, from this line on, looks as it did within it."""
    if line.startswith((" ", "\t")):
        return False
    return _ITEM.match(block.lstrip("\n")) is None or _ITEM.match(line) is not None


def _closes(line: str, opened_with: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(opened_with) and set(bare) == {opened_with[0]} and len(line) - len(line.lstrip()) < 4
