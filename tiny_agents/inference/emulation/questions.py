"""What the small strategy understands: the time in one place, the sum of two numbers. Pure; everything else is refused.

A question is understood only if *every* word of it is explained: words that ask for the time (or a sum), words without a
meaning of their own ("what", "please"), and one place or two numbers. One word too many ("sunset", "Boston", "times")
and it may be another question, so it isn't answered. That refuses more than it must, and answers nothing wrongly.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from tiny_agents.inference.emulation.numbers import Number, Term, terms_of
from tiny_agents.inference.emulation.words import Word, word_set, words_of
from tiny_agents.inference.emulation.zones import Meaning, Place, atlas

MAX_LENGTH = 400  # letters; a longer question says more than this can understand


@dataclass(frozen=True, slots=True)
class TimeQuestion:
    """The current time is asked for: of `place` as the user calls it (`label`), or of here if it is None."""

    place: Place | None
    label: str = ""


@dataclass(frozen=True, slots=True)
class SumQuestion:
    first: Number
    second: Number


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """Why the question can't be answered, as a sentence for the user."""

    reason: str


Reading = TimeQuestion | SumQuestion | NotUnderstood

_TIME = word_set("time clock clocks hour late")
_SUM = word_set("add adding added addition sum summed summing total together much")  # "how much is 2 and 2?"
_PLUS = word_set("+ plus")
_ABOUT_A_NUMBER = word_set("the number")

_POLITE = word_set(
    """
    hi hello hey ok okay well so and please pls thanks thank kindly just dear can could would you your i im id we
    me my tell give show say get find check let know need want like quick quickly question use using tool tools
    assistant agent do does did what whats is are the a an exactly
    """
)
_ABOUT_TIME = _POLITE | word_set(
    """
    it its right now current currently present exact precise accurate correct actual local locally time clock clocks hour
    late oclock at this very moment in for of on from how about which where today says read reads display displays there
    here over they them people someone somebody folks have has having got that who live lives living based wonder
    wondering able ask asking curious happen see look with by as whether if format hh mm
    """
)
_NEEDS_PLACE = word_set("there over they them people someone somebody folks who")
_NOW = word_set("it its the now current currently local")
_PERSONS = word_set("friend friends colleague colleagues team family mother father boss client customer")
_BEFORE_TO = word_set("want like need able have id curious happen you tool tools")
_BEFORE_US = word_set("tell give show let")
_AFTER_TO = word_set("know tell check see find ask get say show give")
_ABOUT_SUMS = (
    _POLITE
    | _SUM
    | word_set(
        """
        much many how of up these those two both number numbers make makes if when calculate compute calc work out
        result answer value equal equals = come comes to in it for
        """
    )
)


def read_question(question: str) -> Reading:
    """What `question` asks for."""
    if len(question) > MAX_LENGTH:
        return NotUnderstood("The question is too long for me.")
    question = unicodedata.normalize("NFC", question)
    words = words_of(question)
    terms = terms_of(question)
    if any(term.text in _SUM or term.text in _PLUS for term in terms or ()):
        return _read_sum(terms or [])
    if any(word.text in _TIME or word.base in _TIME for word in words):
        return _read_time(question, words)
    return NotUnderstood("I don't understand the question.")


# ---------------------------------------------------------------- the time


@dataclass(frozen=True, slots=True)
class _Mention:
    """A name in the question: words `first` to `last` (exclusive) and what they may mean."""

    first: int
    last: int
    meaning: Meaning


def _read_time(question: str, words: list[Word]) -> Reading:
    mentions = _mentions(words)
    named = {index for mention in mentions for index in range(mention.first, mention.last)}
    rest = _without_zone_words([(index, word) for index, word in enumerate(words) if index not in named])
    texts = [word.text for word in words]
    if not any(word.text in _TIME or word.base in _TIME for _, word in rest):
        return NotUnderstood("I don't understand the question.")
    unknown = [question[word.start : word.end] for index, word in rest if not _is_explained(index, texts, words)]
    places = [mention for mention in mentions if mention.meaning.places]
    chosen = _the_one_place(mentions, frozenset(texts))
    if chosen is None and len(places) > 1:
        said = " and ".join(dict.fromkeys(_spelled(question, words, mention) for mention in mentions))
        return NotUnderstood(f"The question names more than one place ({said}); ask for one at a time.")
    if unknown:
        return NotUnderstood(_about_unknown(unknown, bool(places)))
    if not mentions:
        if any(text in _NEEDS_PLACE for text in texts):
            return NotUnderstood("I don't know which place is meant.")
        if not any(text in _NOW for text in texts):
            return NotUnderstood("I don't understand the question.")
        return TimeQuestion(None)
    if chosen is None:
        said = ", ".join(_spelled(question, words, mention) for mention in mentions)
        return NotUnderstood(f"I know no single place with one time zone that is called {said}.")
    place, mention = chosen
    return TimeQuestion(place, _label(_spelled(question, words, mention), place))


def _mentions(words: list[Word]) -> list[_Mention]:
    """The known names in the question, longest first, left to right."""
    known = atlas()
    found = []
    start = 0
    while start < len(words):
        for end in range(min(len(words), start + known.longest), start, -1):
            window = words[start:end]
            meaning = known.meaning(tuple(word.text for word in window))
            if meaning is None:
                meaning = known.meaning((*(word.text for word in window[:-1]), window[-1].base))
            if meaning is None or (meaning.common_word and not _is_meant_as_name(words, start)):
                continue
            if len(window) == 1 and window[0].text == "us" and not window[0].capital:
                continue  # the word, not the country
            found.append(_Mention(start, end, meaning))
            start = end
            break
        else:
            start += 1
    return found


def _is_meant_as_name(words: list[Word], index: int) -> bool:
    before = words[index - 1].text if index else ""
    return words[index].capital or before == "in"


def _without_zone_words(rest: list[tuple[int, Word]]) -> list[tuple[int, Word]]:
    """Without "time zone": whoever asks for the zone doesn't ask for the time."""
    kept: list[tuple[int, Word]] = []
    for index, word in rest:
        if word.text == "timezone":
            continue
        if word.text == "zone" and kept and kept[-1][0] == index - 1 and kept[-1][1].text == "time":
            kept.pop()
            continue
        kept.append((index, word))
    return kept


def _is_explained(index: int, texts: Sequence[str], words: list[Word]) -> bool:
    text = texts[index]
    before = texts[index - 1] if index else ""
    after = texts[index + 1] if index + 1 < len(texts) else ""
    if text == "to":
        return before in _BEFORE_TO and after in _AFTER_TO
    if text == "city":
        return after == "of"
    if text == "late":
        return before == "how"
    if text == "be":
        return after == "able" or before == "would"
    if text == "us":
        return before in _BEFORE_US
    if text == "day":
        return before == "of"
    if text in _PERSONS:  # "what time is it for my friend", but not "what time is my friend"
        return "it" in texts
    return text in _ABOUT_TIME or words[index].base in _ABOUT_TIME


def _about_unknown(unknown: list[str], has_place: bool) -> str:
    said = ", ".join(repr(word) for word in dict.fromkeys(unknown))
    if has_place:
        return f"I can't be sure what is asked: I don't know what {said} means here."
    return f"I know no city with a time zone of its own in the question (not understood: {said})."


def _the_one_place(mentions: list[_Mention], texts: frozenset[str]) -> tuple[Place, _Mention] | None:
    """The place that all names agree on: each is that place, or what it lies in."""
    for mention in sorted(mentions, key=lambda mention: all(place.is_country for place in mention.meaning.places)):
        for place in mention.meaning.places:
            if place.needs and place.needs not in texts:
                continue
            others = (other for other in mentions if other is not mention)
            if all(other.meaning.holds(place) or _names(other.meaning, place) for other in others):
                return place, mention
    return None


def _names(meaning: Meaning, place: Place) -> bool:
    return any(other.zone == place.zone and not other.is_country for other in meaning.places)


def _spelled(question: str, words: list[Word], mention: _Mention) -> str:
    last = words[mention.last - 1]
    text = question[words[mention.first].start : last.end]
    return text[:-2] if last.text != last.base and text[-2:] in ("'s", "’s") and _is_possessive(mention, last) else text


def _is_possessive(mention: _Mention, last: Word) -> bool:
    """Whether the 's at the end is no part of the name ("Tokyo's", not "St. John's")."""
    return not any(place.name.casefold().endswith(last.text) for place in mention.meaning.places)


def _label(spelled: str, place: Place) -> str:
    """The place as the user writes it, with what it lies in; in the zone's own spelling if it is all small or all large."""
    has_own_spelling = spelled != spelled.lower() and (spelled != spelled.upper() or len(spelled) < 4)
    name = spelled if has_own_spelling and "_" not in spelled else place.name
    return f"{name}, {place.within}" if place.within and place.within != name else name


# ---------------------------------------------------------------- sums


def _read_sum(terms: list[Term]) -> Reading:
    positions = [index for index, term in enumerate(terms) if term.value is not None]
    values = [term.value for term in terms if term.value is not None]
    if len(values) != 2:
        return NotUnderstood("I can only add exactly two numbers.")
    first, second = positions
    between = tuple(term.text for term in terms[first + 1 : second] if term.text not in _ABOUT_A_NUMBER)
    around = [term.text for index, term in enumerate(terms) if index < first or index > second]
    unknown = [text for text in around if text not in _ABOUT_SUMS]
    before = [term.text for term in terms[:first] if term.text not in _ABOUT_A_NUMBER]
    if unknown or not _adds(between, before[-1] if before else "", around):
        return NotUnderstood("I can't be sure that a plain sum of two numbers is asked for.")
    return SumQuestion(values[0], values[1])


def _adds(between: tuple[str, ...], before: str, around: list[str]) -> bool:
    """Whether the words between two numbers, with those around them, say that they are added."""
    if between in (("+",), ("plus",), ("added", "to")):
        return True
    if between in (("to",), ("with",), ("on", "to")):
        return before == "add"
    return between in (("and",), ("and", "also")) and any(text in _SUM for text in around)
