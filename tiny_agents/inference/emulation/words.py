"""Questions cut into words that can be compared: without accents, case and punctuation."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Letters that Unicode doesn't take apart into a base and an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", "’": "'", "ʻ": "'"}
)
_WORD = re.compile(r"[^\W_]+(?:['’ʻ][^\W_]+)*|[^\w\s]")
_SEPARATORS = frozenset(".,?!;:\"'’‘“”()[]{}/_-–—…*`¿¡«»")


@dataclass(frozen=True, slots=True)
class Word:
    """One word, or a symbol that may mean something (`+`, `%`).

    Attributes:
        text: Folded: "São" is "sao", "John's" is "johns".
        base: The same without a possessive 's: "Tokyo's" is "tokyo".
        start, end: Where it stands in the question.
    """

    text: str
    base: str
    start: int
    end: int
    capital: bool


def word_set(text: str) -> frozenset[str]:
    """A list of words, as it is written in the tables of this package."""
    return frozenset(text.split())


def fold(text: str) -> str:
    """Lower case, accents removed."""
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).translate(_LETTERS)


def words_of(text: str) -> list[Word]:
    """The words of `text`; punctuation that only separates is left out."""
    text = unicodedata.normalize("NFC", text)
    found = []
    for match in _WORD.finditer(text):
        raw = match.group()
        if raw in _SEPARATORS or unicodedata.category(raw[0]) == "So":  # pictures
            continue
        folded = fold(raw)
        base = folded[:-2] if folded.endswith("'s") else folded
        found.append(Word(folded.replace("'", ""), base.replace("'", ""), match.start(), match.end(), raw[0].isupper()))
    return found


def name_words(name: str) -> tuple[str, ...]:
    """A name as a question would have it: "America/Port-au-Prince" -> ("america", "port", "au", "prince")."""
    return tuple(word.text for word in words_of(name))
