"""JSON as models write it, where there is one thing only that it can mean. Pure.

Understood beside JSON: a Markdown fence around it, texts in single quotes, Python's True, False and None, keys without
quotes, a comma before a closing bracket, and closing brackets that are missing at the very end, after a whole value.
What could mean two things is refused: a text that isn't closed, a quote inside a text of the same quotes, a number or a
comma at the end of an object that isn't closed.
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DEPTH = 64

_FENCE = re.compile(r"\s*```[A-Za-z]*\s*\n(.*?)\n?\s*```\s*", re.DOTALL)
_SPACE = re.compile(r"\s*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_PLAIN = {'"': re.compile(r'[^"\\]*'), "'": re.compile(r"[^'\\]*")}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "'": "'", "\\": "\\", "/": "/"}
_UNICODE = re.compile(r"u([0-9a-fA-F]{4})")
_LOW_SURROGATE = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ENDS_TEXT = frozenset(",:]}")


def read_loosely(text: str) -> Any:
    """The value that `text` stands for.

    Raises:
        ValueError: It is no JSON and can't be made JSON without guessing; the message says where.
    """
    fenced = _FENCE.fullmatch(text)
    reader = _Reader(fenced[1] if fenced else text)
    value = reader.value(0)
    reader.skip()
    if not reader.ended():
        raise reader.error("there is more after the end")
    return value


class _Reader:
    """Reads one value from `text`, from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def ended(self) -> bool:
        return self.at >= len(self.text)

    def error(self, problem: str) -> ValueError:
        return ValueError(f"{problem} (character {self.at})")

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def takes(self, char: str) -> bool:
        self.skip()
        if self.text.startswith(char, self.at):
            self.at += 1
            return True
        return False

    def value(self, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self.error("nested too deeply")
        self.skip()
        if self.ended():
            raise self.error("a value is missing at the end")
        char = self.text[self.at]
        if char == "{":
            return self.object(depth)
        if char == "[":
            return self.array(depth)
        if char in _PLAIN:
            return self.string()
        if found := _NUMBER.match(self.text, self.at):
            self.at = found.end()
            if depth and self.rest_is_empty():
                raise self.error("the end is missing, maybe of this number")
            return json.loads(found[0])
        word = _WORD.match(self.text, self.at)
        if word is None or word[0] not in _WORDS:
            raise self.error(f"unexpected {self.text[self.at]!r}")
        self.at = word.end()
        return _WORDS[word[0]]

    def rest_is_empty(self) -> bool:
        self.skip()
        return self.ended()

    def object(self, depth: int) -> dict[str, Any]:
        self.at += 1
        found: dict[str, Any] = {}
        while not self.closed("}"):
            key = self.key()
            if not self.takes(":"):
                raise self.error("':' is missing")
            found[key] = self.value(depth + 1)
            if not self.goes_on("}"):
                break
        return found

    def array(self, depth: int) -> list[Any]:
        self.at += 1
        found: list[Any] = []
        while not self.closed("]"):
            found.append(self.value(depth + 1))
            if not self.goes_on("]"):
                break
        return found

    def closed(self, bracket: str) -> bool:
        """Whether the bracket closes here, at its start or after a comma."""
        if self.takes(bracket):
            return True
        if self.ended():
            raise self.error(f"'{bracket}' is missing, and maybe something before it")
        return False

    def goes_on(self, bracket: str) -> bool:
        """After a value: True after a comma, False where the bracket closes or nothing at all follows."""
        if self.takes(","):
            return True
        if self.takes(bracket) or self.ended():
            return False
        raise self.error(f"',' or '{bracket}' is missing")

    def key(self) -> str:
        self.skip()
        if self.text[self.at] in _PLAIN:
            return self.string()
        word = _WORD.match(self.text, self.at)
        if word is None:
            raise self.error("a key is missing")
        self.at = word.end()
        return word[0]

    def string(self) -> str:
        quote = self.text[self.at]
        self.at += 1
        pieces: list[str] = []
        while True:
            plain = _PLAIN[quote].match(self.text, self.at)
            assert plain is not None
            pieces.append(plain[0])
            self.at = plain.end()
            if self.ended():
                raise self.error("a text is not closed")
            self.at += 1
            if self.text[self.at - 1] == quote:
                break
            pieces.append(self.escape())
        self.skip()
        if not self.ended() and self.text[self.at] not in _ENDS_TEXT:
            raise self.error("a quote inside a text")
        return "".join(pieces)

    def escape(self) -> str:
        if self.ended():
            raise self.error("a text is not closed")
        char = self.text[self.at]
        if char in _ESCAPES:
            self.at += 1
            return _ESCAPES[char]
        found = _UNICODE.match(self.text, self.at)
        if found is None:
            raise self.error(f"\\{char} means nothing in a text")
        self.at = found.end()
        code = int(found[1], 16)
        low = _LOW_SURROGATE.match(self.text, self.at)
        if low is not None and 0xD800 <= code < 0xDC00:
            self.at = low.end()
            code = 0x10000 + ((code - 0xD800) << 10) + (int(low[1], 16) - 0xDC00)
        return chr(code)
