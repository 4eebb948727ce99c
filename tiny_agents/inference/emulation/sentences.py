"""What a tool's result says, a plain sentence for it, and whether a sentence of the model's says the same. Pure.

A model of this size invents freely, so its sentence is held against the result word by word: numbers must be the
result's, and every word must be one of the place, of the result, or of a short list. If anything else is in it, the
result itself is shown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from tiny_agents.inference.emulation.history import Result
from tiny_agents.inference.emulation.numbers import Number, terms_of
from tiny_agents.inference.emulation.questions import Reading, SumQuestion, TimeQuestion
from tiny_agents.inference.emulation.words import word_set, words_of

_CLOCK_TIME = re.compile(r"(?<![\d:+.-])(\d{1,2}:\d{2})(?!\d)")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_IN_A_TIME_SENTENCE = word_set("the current currently local time in is it its now right at on and a clock there")
_IN_A_SUM_SENTENCE = word_set("the sum of and plus is are equals equal to total adding gives makes result + =")
MAX_RESULT = 2000  # letters of a result that is shown as it is


@dataclass(frozen=True, slots=True)
class TimeFact:
    """It is `time` (HH:MM) at `label`, which has this zone."""

    time: str
    label: str
    zone: str
    weekday: str = ""
    is_local: bool = False

    def plain(self) -> str:
        day = f", {self.weekday}" if self.weekday else ""
        if self.is_local:
            return f"It is {self.time} in {self.zone}{day}, the time zone that the tool calls local."
        zone = "" if self.zone == self.label else f" ({self.zone})"
        return f"It is {self.time} in {self.label}{zone}{day}."

    def agrees(self, sentence: str) -> bool:
        if self.is_local or _CLOCK_TIME.findall(sentence) != [self.time]:
            return False
        words = {word.text for word in words_of(_CLOCK_TIME.sub(" ", sentence))}
        label = {word.text for word in words_of(self.label)}
        return label <= words <= label | _IN_A_TIME_SENTENCE | {self.weekday.lower()}

    def examples(self) -> list[tuple[str, str]]:
        return [
            ("07:05 in Lima, Peru", "The current time in Lima, Peru is 07:05."),
            ("19:40 in Oslo, Norway", "The current time in Oslo, Norway is 19:40."),
            (f"{self.time} in {self.label}", ""),
        ]


@dataclass(frozen=True, slots=True)
class SumFact:
    """The tool says that `first` and `second` make `result`."""

    first: Number
    second: Number
    result: Number

    def plain(self) -> str:
        return f"{self.first} + {_in_brackets(self.second)} = {self.result}."

    def agrees(self, sentence: str) -> bool:
        terms = terms_of(sentence) or []
        numbers = [term.value for term in terms if term.value is not None]
        if numbers not in ([self.result], [self.first, self.second, self.result]):
            return False
        return all(term.text in _IN_A_SUM_SENTENCE for term in terms if term.value is None)

    def examples(self) -> list[tuple[str, str]]:
        return [
            ("8 + 5 = 13", "The sum of 8 and 5 is 13."),
            ("130 + 2.5 = 132.5", "The sum of 130 and 2.5 is 132.5."),
            (self.plain().rstrip("."), ""),
        ]


Fact = TimeFact | SumFact


def fact_of(reading: Reading, result: Result) -> Fact | None:
    """What the result says about the question; None if it isn't the answer to it, or can't be read."""
    if isinstance(reading, TimeQuestion):
        return _time_fact(reading, result)
    if isinstance(reading, SumQuestion):
        return _sum_fact(reading, result)
    return None


def _time_fact(question: TimeQuestion, result: Result) -> TimeFact | None:
    asked = [value for value in result.arguments.values() if isinstance(value, str)]
    if question.place is not None and not {question.place.zone, question.place.name} & set(asked):
        return None
    data = _decoded(result.text)
    zone = question.place.zone if question.place else next(iter(asked), "")
    answered = data.get("timezone") if isinstance(data, dict) else None
    if answered is not None and answered != zone:
        return None
    times = set(_CLOCK_TIME.findall(_without_seconds(result.text)))
    if len(times) != 1:
        return None
    days = [day for day in _WEEKDAYS if day in result.text]
    weekday = days[0] if len(days) == 1 else ""
    return TimeFact(times.pop(), question.label or zone, zone, weekday, is_local=question.place is None)


def _without_seconds(text: str) -> str:
    """Clock times to the minute, offsets from UTC gone: "14:42:37+09:00" -> "14:42"."""
    return re.sub(r"(\d{1,2}:\d{2})(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?", r"\1", text)


def _sum_fact(question: SumQuestion, result: Result) -> SumFact | None:
    asked = [value for value in result.arguments.values() if isinstance(value, (int, float))]
    if asked != [question.first, question.second]:
        return None
    data = _decoded(result.text)
    if isinstance(data, dict):
        values = [value for value in data.values() if isinstance(value, (int, float)) and not isinstance(value, bool)]
    elif isinstance(data, (int, float)):
        values = [data]
    else:
        values = [term.value for term in terms_of(result.text) or [] if term.value is not None]
    if len(values) == 3 and values[:2] == asked:
        values = values[2:]
    return SumFact(question.first, question.second, values[0]) if len(values) == 1 else None


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None


def _in_brackets(number: Number) -> str:
    return f"({number})" if number < 0 else str(number)


# ---------------------------------------------------------------- what is shown as it is


def is_failure(result: Result) -> bool:
    """Whether a tool reports that it failed: by its first word, or by an "error" in its JSON."""
    data = _decoded(result.text)
    if isinstance(data, dict):
        return bool(data.get("error"))
    return result.text.lstrip().casefold().startswith("error")


def shown(result: Result) -> str:
    """A result that could not be put into a sentence, or that is an error, named and shown as it is."""
    text = result.text.strip()
    if len(text) > MAX_RESULT:
        text = text[:MAX_RESULT] + " …"
    if is_failure(result):
        return f"{result.name} failed: {text}"
    return f"{result.name} answered: {text or 'nothing'}"
