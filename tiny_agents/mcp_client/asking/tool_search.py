"""Which of many tools fit some words: BM25 over their names, descriptions and parameters. Pure."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiny_agents.mcp_client.tools.table import Offer

K1, B = 1.2, 0.6
"""How soon a word that is repeated counts no more, and how much a long text counts less; as usual for short texts."""

WEIGHTS = {"name": 4, "server": 2, "parameters": 1, "description": 2}
"""How often a word counts for where it stands."""

MAX_WORDS = 300
"""Words of a description that are looked at; the first ones say what it is about."""

EXACT = 1_000.0
"""Added where the query is the tool's name."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_ENDINGS = ("ing", "ies", "es", "ed", "s")
_STOP = frozenset(
    ("a", "an", "and", "are", "at", "by", "can", "do", "for", "from", "i", "in", "is", "it", "me", "my", "of", "on", "or",
     "that", "the", "this", "to", "use", "with", "you")
)  # fmt: skip


def words_in(text: str) -> Iterator[str]:
    """The words of a text as they are compared: names taken apart, lower case, without the usual endings."""
    for word in _WORD.findall(_CAMEL.sub(" ", text)):
        lower = word.lower()
        if lower not in _STOP:
            yield stem(lower)


def stem(word: str) -> str:
    """`word` without an ending that says nothing about what is meant: files, filing and file are the same."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)] + ("y" if ending == "ies" else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


class ToolIndex:
    """Tools, ready to be searched. 10,000 take a second to be made ready, and some milliseconds per search."""

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._offers = list(offers)
        self._postings: dict[str, list[tuple[int, int]]] = {}  # word -> (tool, how often)
        self._lengths: list[int] = []
        for index, offer in enumerate(self._offers):
            counts = _counts(offer)
            self._lengths.append(sum(counts.values()))
            for word, count in counts.items():
                self._postings.setdefault(word, []).append((index, count))
        self._average = (sum(self._lengths) / len(self._lengths)) if self._lengths else 1.0

    def search(self, query: str, limit: int) -> list[Offer]:
        """The tools that fit best, the best first; none where no word is found."""
        scores: Counter[int] = Counter()
        for word in dict.fromkeys(words_in(query)):
            for known, share in self._meant(word):
                self._add(scores, known, share)
        named = query.strip().strip("`'\"")
        for index, offer in enumerate(self._offers):
            if named in (offer.name, offer.tool.name):
                scores[index] += EXACT  # type: ignore[assignment]  # scores are no whole numbers
        best = sorted(scores, key=lambda index: (-scores[index], index))
        return [self._offers[index] for index in best[:limit]]

    def _add(self, scores: Counter[int], word: str, share: float) -> None:
        found = self._postings[word]
        rarity = math.log(1 + (len(self._offers) - len(found) + 0.5) / (len(found) + 0.5))
        for index, count in found:
            length = 1 - B + B * self._lengths[index] / self._average
            scores[index] += share * rarity * count * (K1 + 1) / (count + K1 * length)  # type: ignore[assignment]

    def _meant(self, word: str) -> Sequence[tuple[str, float]]:
        """The known words that a word of a query may mean, and how much each counts: itself, else what begins like it or is
        spelt nearly so."""
        if word in self._postings:
            return ((word, 1.0),)
        if len(word) < 3:
            return ()
        longer = [
            known for known in self._postings if known.startswith(word) or (len(known) > 3 and word.startswith(known))
        ]
        if longer:
            return [(known, 0.6) for known in longer[:10]]
        return [(known, 0.5) for known in difflib.get_close_matches(word, self._postings, n=2, cutoff=0.8)]


def _counts(offer: Offer) -> Counter[str]:
    tool = offer.tool
    counts: Counter[str] = Counter()
    described = list(words_in(tool.description or ""))[:MAX_WORDS]
    places = {
        "name": list(words_in(offer.name)),
        "server": list(words_in(offer.server)),
        "parameters": list(words_in(" ".join(_parameter_words(tool.parameters.get("properties"))))),
        "description": described,
    }
    for place, words in places.items():
        for word in words:
            counts[word] += WEIGHTS[place]
    return counts


def _parameter_words(properties: Any) -> Iterator[str]:
    if not isinstance(properties, dict):
        return
    for name, schema in properties.items():
        yield str(name)
        if isinstance(schema, dict) and isinstance(said := schema.get("description"), str):
            yield said[:200]
