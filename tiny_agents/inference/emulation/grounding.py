"""Which of the offered tools answers a question, and its schema narrowed to the values that the question names.

A tool is recognised by its name, every word of which must be known ("get_current_time", but not "get_sunrise_time"), and
by its parameters. What a required parameter should be must follow from the question, or be one of a few named values.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tiny_agents.inference.emulation.history import Tool
from tiny_agents.inference.emulation.numbers import Number
from tiny_agents.inference.emulation.questions import NotUnderstood, Reading, SumQuestion, TimeQuestion
from tiny_agents.inference.emulation.words import name_words, word_set

Values = list[Any]

_TIME_NAMES = word_set("time clock now datetime")
_TIME_FILLERS = word_set(
    "get current in at for of the a what is it tell show fetch read lookup local world zone timezone city place now"
)
_SUM_NAMES = word_set("add addition sum plus")
_SUM_FILLERS = word_set("two numbers number integers ints floats values get the of and a b")
_CALCULATORS = word_set("calculate calculator calc compute arithmetic math")
_ZONE_WORDS = word_set("timezone zone tz iana")
_PLACE_WORDS = word_set("city place location")
_ADD_VALUES = word_set("add addition sum plus +")
_ABOUT_ADDING = word_set(
    """
    add adds adding addition sum sums plus total number numbers integer integers two value values arithmetic
    calculate calculates calculator calculation calculations math b y operands
    """
)
_FEW = 8  # values of an enumeration that the model may choose from

_QUOTED = r"['\"`]([A-Za-z][\w+-]*(?:/[\w+-]+)*)['\"`]"
_LOCAL_ZONE = re.compile(rf"{_QUOTED}[^.]{{0,20}}\blocal\b|\blocal\b[^.]{{0,40}}{_QUOTED}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A tool that can answer, with the schema of the arguments it may get."""

    tool: Tool
    schema: dict[str, Any]


def candidates(tools: list[Tool], reading: Reading) -> list[Candidate] | NotUnderstood:
    """The tools that answer what was read; if there are none, why."""
    if isinstance(reading, NotUnderstood):
        return reading
    narrow = _NARROW[type(reading)]
    found = []
    needs_place = False
    for tool in tools:
        if not tool.properties:
            continue  # it takes nothing, so it can't be about a place or about numbers; exit tools are like this
        schema = narrow(tool, reading)
        if isinstance(schema, dict):
            found.append(Candidate(tool, schema))
        needs_place |= schema == "place"
    if found:
        return found
    if needs_place:
        return NotUnderstood("Name the city whose time you want.")
    return NotUnderstood(f"Nothing here can {_ABILITIES[type(reading)]}.")


def abilities(tools: list[Tool]) -> list[str]:
    """What can be done with these tools, in words."""
    probes: list[Reading] = [TimeQuestion(None), SumQuestion(1, 2)]
    return [
        _ABILITIES[type(probe)]
        for probe in probes
        if any(tool.properties and _NARROW[type(probe)](tool, probe) is not None for tool in tools)
    ]


_ABILITIES: Mapping[type, str] = {
    TimeQuestion: "tell the time in a city that has a time zone of its own (like Tokyo or Buenos Aires)",
    SumQuestion: "add two numbers",
}


# ---------------------------------------------------------------- the time


def _narrow_time(tool: Tool, reading: Reading) -> dict[str, Any] | str | None:
    """The schema for a time question; "place" if only the place is missing; None if the tool is about something else."""
    assert isinstance(reading, TimeQuestion)
    if not _is_called(tool, _TIME_NAMES, _TIME_FILLERS):
        return None
    about_place = [name for name in tool.properties if _place_values(tool, name, TimeQuestion(None)) is not None]
    if len(about_place) != 1:  # two zones are a conversion
        return None
    values = _place_values(tool, about_place[0], reading)
    if values:
        return _narrowed(tool, {about_place[0]: values})
    return "place" if reading.place is None else None


def _place_values(tool: Tool, name: str, reading: TimeQuestion) -> Values | None:
    """What a parameter may be: a zone, or the place's name; empty if the question names none; None if it is neither."""
    schema = tool.properties[name]
    if not _takes(schema, "string"):
        return None
    words = set(name_words(_spaced(name)))
    words_about = words | set(name_words(f"{schema.get('title', '')} {schema.get('description', '')}"))
    if words & _ZONE_WORDS or (words_about & _ZONE_WORDS and not words & _PLACE_WORDS):
        zone = reading.place.zone if reading.place else local_zone(tool, schema)
        return _allowed([zone] if zone else [], schema)
    if words & _PLACE_WORDS:
        return _allowed([reading.place.name] if reading.place else [], schema)
    return None


def local_zone(tool: Tool, schema: Mapping[str, Any]) -> str | None:
    """The zone that the tool itself calls local: the parameter's default, or one that its description names so."""
    default = schema.get("default")
    if isinstance(default, str) and default in zoneinfo.available_timezones():
        return default
    for text in (schema.get("description"), tool.description):
        for match in _LOCAL_ZONE.finditer(text if isinstance(text, str) else ""):
            zone = match[1] or match[2]
            if zone in zoneinfo.available_timezones():
                return zone
    return None


# ---------------------------------------------------------------- sums


def _narrow_sum(tool: Tool, reading: Reading) -> dict[str, Any] | None:
    assert isinstance(reading, SumQuestion)
    numeric = [name for name, schema in tool.properties.items() if _takes_number(schema, reading.first, reading.second)]
    if len(numeric) != 2 or not _is_about_adding(tool):
        return None
    values: dict[str, Values] = {numeric[0]: [reading.first], numeric[1]: [reading.second]}
    if _is_called(tool, _SUM_NAMES, _SUM_FILLERS):
        return _narrowed(tool, values)
    if not _is_called(tool, _CALCULATORS, _SUM_FILLERS):
        return None
    for name, schema in tool.properties.items():
        adding = [
            value for value in schema.get("enum") or [] if isinstance(value, str) and value.lower() in _ADD_VALUES
        ]
        if len(adding) == 1:
            return _narrowed(tool, {**values, name: adding})
    return None


def _is_about_adding(tool: Tool) -> bool:
    """Whether the description, if there is one, speaks of numbers: "add" may add an item to a cart as well."""
    words = name_words(tool.description)
    return not words or not _ABOUT_ADDING.isdisjoint(words)


def _takes_number(schema: Mapping[str, Any], *numbers: Number) -> bool:
    if _takes(schema, "number"):
        return True
    return _takes(schema, "integer") and all(isinstance(number, int) for number in numbers)


# ---------------------------------------------------------------- schemas


def _is_called(tool: Tool, meaning: frozenset[str], fillers: frozenset[str]) -> bool:
    """Whether the tool's name says this and nothing else; a server's name before "__" doesn't count."""
    words = set(name_words(_spaced(tool.name.rpartition("__")[2])))
    return bool(words & meaning) and words <= meaning | fillers


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)


def _takes(schema: Mapping[str, Any], kind: str) -> bool:
    """Whether a parameter takes values of this JSON type, alone or among others."""
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return kind in kinds
    if kinds is not None:
        return bool(kinds == kind)
    return any(_takes(option, kind) for option in schema.get("anyOf") or [] if isinstance(option, dict))


def _allowed(values: Values, schema: Mapping[str, Any]) -> Values:
    """Those of `values` that an enumeration in the schema allows."""
    enum = schema.get("enum")
    return [value for value in values if value in enum] if isinstance(enum, list) else values


def _narrowed(tool: Tool, grounded: Mapping[str, Values]) -> dict[str, Any] | None:
    """The tool's schema with only these values, and what else it requires; None if it requires what nobody knows."""
    properties: dict[str, Any] = {name: {"enum": values} for name, values in grounded.items()}
    for name in tool.required:
        if name in properties:
            continue
        schema = tool.properties.get(name, {})
        few = schema.get("enum")
        if isinstance(few, list) and 0 < len(few) <= _FEW:
            properties[name] = {"enum": few}
        elif schema.get("type") == "boolean":
            properties[name] = {"type": "boolean"}
        else:
            return None
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def fits(arguments: Any, schema: Mapping[str, Any]) -> bool:
    """Whether decoded arguments are what `_narrowed` allows. Constrained decoding sees to it; a server may not."""
    properties = schema["properties"]
    if not isinstance(arguments, dict) or set(arguments) != set(properties):
        return False
    return all(
        value in properties[name]["enum"] if "enum" in properties[name] else isinstance(value, bool)
        for name, value in arguments.items()
    )


_NARROW: Mapping[type, Callable[[Tool, Reading], dict[str, Any] | str | None]] = {
    TimeQuestion: _narrow_time,
    SumQuestion: _narrow_sum,
}
