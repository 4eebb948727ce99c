"""Text from models, servers and files -> text that is safe to write to a terminal. Pure.

Nothing that passes through here can move the cursor, change the window's title, colour what follows, ring, hide text from
the reader or reverse its order: such characters become something visible, or nothing where they only steer how
neighbours are joined.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

_KEPT_CONTROLS = {"\n", "\t"}


def _code_point(code: int) -> str:
    return f"⟨U+{code:04X}⟩"


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {}
    # Escape sequences are disarmed by their first character: ESC is drawn as ␛, and what follows is plain text.
    table.update({code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in _KEPT_CONTROLS})
    table[0x7F] = "␡"
    table.update({code: _code_point(code) for code in range(0x80, 0xA0)})  # C1: 8-bit CSI, OSC and others
    # Explicit bidirectional overrides and isolates reverse what is read; a command can look like another.
    table.update({code: _code_point(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x2070))})
    # Lone surrogates can't be encoded at all.
    table.update(dict.fromkeys(range(55296, 57344), "�"))
    # Tag characters and the supplementary variation selectors are invisible and can carry a whole hidden text.
    table.update({code: _code_point(code) for code in range(0xE0000, 0xE0200)})
    table.update({code: _code_point(code) for code in (0x2028, 0x2029, 0xFFF9, 0xFFFA, 0xFFFB)})
    # Invisible, and needed by no script: direction marks, zero-width space, word joiner, invisible operators, BOM.
    # The two joiners (U+200C, U+200D) stay: Persian, the Indic scripts and emoji are written with them.
    table.update(dict.fromkeys((0x200B, 0x200E, 0x200F, 0x061C, 0x180E, *range(0x2060, 0x2065), 0xFEFF)))
    return table


_TABLE = _table()


def neutralise(text: str) -> str:
    """`text` without any character that a terminal would obey; newlines and tabs stay.

    Works character by character, so a text may be cut anywhere and handed over in pieces: an escape sequence that is
    split between two pieces is as harmless as a whole one.
    """
    return text.replace("\r\n", "\n").translate(_TABLE)


def one_line(text: str, limit: int | None = None) -> str:
    """`text` neutralised and on one line: runs of white space become one space; more than `limit` characters are cut."""
    joined = " ".join(neutralise(text).split())
    if limit is not None and len(joined) > limit:
        return joined[: max(limit - 1, 0)] + "…"
    return joined


class Shortened(NamedTuple):
    """The start of a text: its lines, and how many characters of the original are not shown."""

    lines: tuple[str, ...]
    cut: int


def shorten(text: str, *, max_lines: int = 8, max_columns: int = 100) -> Shortened:
    """The start of `text`, neutralised, in at most `max_lines` lines no wider than `max_columns` columns of a terminal.

    Longer lines go on in the next one, so that none is wrapped by the terminal itself, to its first column.
    """
    safe = neutralise(text.strip("\r\n")).expandtabs(4)
    lines: list[str] = []
    position = 0
    while len(lines) < max_lines and position <= len(safe):
        end = safe.find("\n", position)
        end = len(safe) if end < 0 else end
        piece = _fitting(safe[position:end], max_columns)
        is_whole = position + len(piece) == end and columns(piece) <= max_columns
        lines.append(piece if is_whole else piece.rstrip(" "))
        position += len(piece)
        if position == end:
            position += 1  # the line end
    return Shortened(tuple(lines), max(len(safe) - position, 0))


def wrapped(text: str, max_columns: int, *, indent: str = "") -> list[str]:
    """`text` in lines no wider than `max_columns` that break between words; `indent` goes before all but the first.

    A line that begins with spaces goes on below its text. What is no word is broken anywhere.
    """
    lines: list[str] = []
    for line in neutralise(text).expandtabs(4).split("\n"):
        margin = indent + " " * min(len(line) - len(line.lstrip(" ")), max_columns // 2)
        prefix = ""
        while True:
            piece = _fitting(line, max(max_columns - len(prefix), 1))
            line = line[len(piece) :]
            lines.append(prefix + piece.rstrip(" "))
            if not line:
                break
            prefix = margin
    return lines


def _fitting(line: str, max_columns: int) -> str:
    """The start of `line` that fits, up to a space if there is one behind a word; at least one character."""
    if len(line) * 2 <= max_columns:
        return line
    used = 0
    word = 0  # where the last word that fits ends, and a space with it
    for index, character in enumerate(line):
        used += _width(character)
        if character == " " and line[:index].strip(" "):
            word = index + 1
        if used > max_columns and index and character != " ":
            end = line.find(" ", index)
            too_long = (len(line) if end < 0 else end) - word > max_columns  # it will be broken anyway
            return line[: index if too_long else word or index]
    return line


def columns(text: str) -> int:
    """Columns a terminal needs for `text` (one line, neutralised): two for wide characters, none for combining ones."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if character < "\u0300":
        return 1
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
