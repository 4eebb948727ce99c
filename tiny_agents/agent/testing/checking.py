"""What an agent did, compared with what a test expects. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from tiny_agents.agent.loop.output import Output
from tiny_agents.agent.testing.case import NOTHING, Amount, Expected, ExpectedCall, StandIn
from tiny_agents.errors import InvalidResponseError

_SHOWN_CHARS = 300
_ANY_JSON: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class MadeCall:
    """A call that the model made.

    Attributes:
        name: The tool, as the model called it.
        place: The agent that is a tool, if it was one's, and the server: `time`, `researcher/web`, `function`; empty where
            there is no such tool.
        tool: As its server spells it.
        outcome: How it came out; see `observing.ToolCall`.
        text: What the model was told.
    """

    name: str
    place: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = "ok"
    text: str = ""

    @property
    def names(self) -> frozenset[str]:
        """What a pattern may call it."""
        server = self.place.rpartition("/")[2]
        return frozenset({self.name, self.tool, f"{server}.{self.tool}", f"{self.place}.{self.tool}"} - {"", "."})

    def __str__(self) -> str:
        name = f"{self.place}.{self.tool}" if self.place else self.name
        outcome = "" if self.outcome == "ok" else f" ({self.outcome})"
        return f"{name} {json.dumps(dict(self.arguments), ensure_ascii=False, default=str)}{outcome}"


@dataclass(frozen=True, slots=True)
class Happened:
    """What came of the prompts of a test.

    Attributes:
        text: The last answer.
        stop_reason: How the last run ended.
        why: More about that, for people: the limit, or what is wrong with the answer.
        used: By the names of `limits`; `cost_usd` is None where a price isn't known.
    """

    text: str = ""
    stop_reason: str = "done"
    why: str = ""
    calls: Sequence[MadeCall] = ()
    used: Mapping[Amount, float | None] = field(default_factory=dict)


def problems(expected: Expected, happened: Happened) -> list[str]:
    """What isn't as expected, a line each, beginning with the key."""
    return [
        *_ending(expected, happened),
        *_text(expected, happened.text),
        *_data(expected, happened),
        *_calls(expected, happened.calls),
        *_used(expected, happened),
    ]


def _ending(expected: Expected, happened: Happened) -> Iterator[str]:
    if happened.stop_reason not in expected.stop_reason:
        why = f" ({happened.why})" if happened.why else ""
        yield f"stop_reason: is {happened.stop_reason}{why}, not {' or '.join(expected.stop_reason)}"


def _text(expected: Expected, text: str) -> Iterator[str]:
    shown = f"the answer is {_shown(text)}" if text else "there is no answer"
    if expected.equals is not None and expected.equals.strip() != text.strip():
        yield f"equals: should be {_shown(expected.equals)}; {shown}"
    for wanted in expected.contains:
        if wanted not in text:
            yield f"contains: {_shown(wanted)} is missing; {shown}"
    for unwanted in expected.excludes:
        if unwanted in text:
            yield f"excludes: {_shown(unwanted)} is there; {shown}"
    for pattern in expected.matches:
        if re.search(pattern, text) is None:
            yield f"matches: {pattern!r} fits nowhere; {shown}"


def _data(expected: Expected, happened: Happened) -> Iterator[str]:
    if expected.output is NOTHING and expected.schema is None:
        return
    schema = expected.schema if isinstance(expected.schema, Mapping) else _ANY_JSON
    try:
        found = Output(schema).read(happened.text)
    except InvalidResponseError as error:
        about = "output" if expected.schema is None else "schema"
        yield f"{about}: {error} The answer is {_shown(happened.text)}"
        return
    if expected.output is not NOTHING:
        for where, what in _differences(expected.output, found, ""):
            yield f"output{where}: {what}"


def _differences(wanted: Any, found: Any, where: str) -> Iterator[tuple[str, str]]:
    """Where `found` isn't `wanted`; of mappings only what is wanted counts."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            if name not in found:
                yield f"{where}.{name}", "is missing"
            else:
                yield from _differences(value, found[name], f"{where}.{name}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for n, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from _differences(one, other, f"{where}[{n}]")
    elif wanted != found or isinstance(wanted, bool) is not isinstance(found, bool):
        yield where, f"should be {_as_json(wanted)}, but is {_as_json(found)}"


def _calls(expected: Expected, calls: Sequence[MadeCall]) -> Iterator[str]:
    made = f"it called {_listed(calls)}" if calls else "it called no tool"
    for wanted in expected.calls:
        named = [call for call in calls if _is_meant(wanted.pattern, call)]
        fitting = [call for call in named if _fits(wanted, call)]
        if wanted.times is not None and len(fitting) != wanted.times:
            yield f"calls: {wanted} was to be called {_times(wanted.times)}, and was {_times(len(fitting))}; {made}"
        elif wanted.times is None and not fitting:
            what = "was not called so" if named else "was not called"
            yield (
                f"calls: {wanted} {what} (outcome: {wanted.outcome}); {made}"
                if named
                else f"calls: {wanted} {what}; {made}"
            )
    for pattern in expected.no_calls:
        if found := [call for call in calls if _is_meant(pattern, call)]:
            yield f"no_calls: {pattern} was called: {_listed(found)}"


def _is_meant(pattern: str, call: MadeCall) -> bool:
    return any(fnmatchcase(name, pattern) for name in call.names)


def _fits(wanted: ExpectedCall, call: MadeCall) -> bool:
    return wanted.outcome in ("any", call.outcome) and _look_like(wanted.arguments, call.arguments)


def _look_like(patterns: Mapping[str, str], arguments: Mapping[str, Any]) -> bool:
    return all(
        name in arguments and fnmatchcase(_as_text(arguments[name]), pattern) for name, pattern in patterns.items()
    )


def stand_in_for(call: MadeCall, known: Sequence[StandIn]) -> StandIn | None:
    """What a call comes to in place of being made, if anything."""
    return next(
        (each for each in known if _is_meant(each.pattern, call) and _look_like(each.arguments, call.arguments)), None
    )


def _used(expected: Expected, happened: Happened) -> Iterator[str]:
    for name, most in expected.at_most.items():
        used = happened.used.get(name)
        if used is None:
            yield f"at_most.{name}: isn't known; for costs, the price of the model has to be"
        elif used > most:
            yield f"at_most.{name}: {used:,.6g} were used, and {most:,.6g} is the most"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _listed(calls: Sequence[MadeCall]) -> str:
    return _cut("; ".join(map(str, calls)))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _as_json(value: Any) -> str:
    return _cut(json.dumps(value, ensure_ascii=False, default=str))


def _shown(text: str) -> str:
    return _cut(json.dumps(text, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
