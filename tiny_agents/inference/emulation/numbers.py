"""Numbers in a question, in digits or in English words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tiny_agents.inference.emulation.words import fold

Number = int | float
MAX_DIGITS = 15  # what a double holds exactly

_PIECE = re.compile(r"\d[\d.,]*|\.\d+|[^\W\d_]+(?:['’][^\W\d_]+)*|[^\w\s]|_")
_DIGITS = re.compile(r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+")

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
)
_SMALL = {name: value for value, name in enumerate([*_UNITS.split(), "eighteen", "nineteen"])}
_TENS = {
    name: 10 * value
    for value, name in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_NUMBER_WORDS = frozenset((*_SMALL, *_TENS, *_SCALES))
_HYPHENATED = re.compile(rf"\b({'|'.join(_TENS)})-({'|'.join(list(_SMALL)[1:10])})\b", re.IGNORECASE)
_IGNORED = frozenset(".,?;:‘“”()")  # not "!" and quotes: after a number they are factorial, feet and inches


@dataclass(frozen=True, slots=True)
class Term:
    """A piece of a question: a number, or a word or symbol (folded)."""

    text: str
    value: Number | None = None


def terms_of(question: str) -> list[Term] | None:
    """The question's words, symbols and numbers in order; None where something that looks like a number can't be read."""
    question = _HYPHENATED.sub(r"\1 \2", question.replace("−", "-")).rstrip("! ")
    pieces = [(match.group(), match.start(), match.end()) for match in _PIECE.finditer(question)]
    terms: list[Term] = []
    for position, (raw, start, _) in enumerate(pieces):
        if raw in _IGNORED:
            continue
        if not any(letter.isdigit() for letter in raw):
            terms.append(Term(fold(raw).replace("'", "") or raw))
            continue
        value = _read_digits(raw)
        if value is None or (position and pieces[position - 1][2] == start and pieces[position - 1][0][-1].isalnum()):
            return None
        if _is_sign(pieces, position):
            value = -value if terms.pop().text == "-" else value
        terms.append(Term(raw, value))
    return _with_number_words(terms)


def _read_digits(raw: str) -> Number | None:
    # A comma or a point at the end belongs to the sentence.
    raw = raw.rstrip(".,")
    if not _DIGITS.fullmatch(raw) or sum(letter.isdigit() for letter in raw) > MAX_DIGITS:
        return None
    plain = raw.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def _is_sign(pieces: list[tuple[str, int, int]], position: int) -> bool:
    """Whether the piece before the number is its sign: it touches the number, and what stands before is no number."""
    if position == 0 or pieces[position - 1][0] not in "+-" or pieces[position - 1][2] != pieces[position][1]:
        return False
    return position == 1 or not pieces[position - 2][0][-1].isdigit()


def _with_number_words(terms: list[Term]) -> list[Term] | None:
    """Neighbouring number words as one number; None where they make none ("two three")."""
    result: list[Term] = []
    run: list[str] = []
    for term in [*terms, Term("")]:
        if term.text in _NUMBER_WORDS and term.value is None:
            run.append(term.text)
            continue
        if run:
            value = _read_words(run)
            if value is None:
                return None
            result.append(Term(" ".join(run), value))
            run = []
        if term.text:
            result.append(term)
    return result


def _read_words(words: list[str]) -> int | None:
    """One number in words, "and" not allowed in it: "two hundred five thousand twelve"."""
    total = 0
    group = 0
    previous_scale = float("inf")
    last = ""  # what the word before was: "small", "tens", "hundred", "scale"
    for word in words:
        if word in _SMALL:
            value = _SMALL[word]
            fits = last in ("", "hundred", "scale") or (last == "tens" and 0 < value < 10)
            group, last = group + value, "small"
        elif word in _TENS:
            fits = last in ("", "hundred", "scale")
            group, last = group + _TENS[word], "tens"
        elif word == "hundred":
            fits = last == "" or (last == "small" and 0 < group < 10)
            group, last = max(group, 1) * 100, "hundred"
        else:
            scale = _SCALES[word]
            fits = (last == "" or group > 0) and scale < previous_scale
            total += max(group, 1) * scale
            group, last, previous_scale = 0, "scale", scale
        if not fits:
            return None
    return total + group
