"""Places and their IANA time zones: which words name one, and which words may stand beside it.

A zone's last part is the place it is named after ("America/Argentina/Buenos_Aires"). Only that, and a few countries and
islands that are zones themselves, is known here: a city without a zone of its own is not guessed at.
Source: the tz database: zone names, `zone.tab` (country of a zone), `iso3166.tab` (names of countries), `tzdata.zi` (links).
"""

from __future__ import annotations

import functools
import importlib.resources
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tiny_agents.inference.emulation.words import name_words, word_set

_AREAS = frozenset(
    ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
)

# Zones of these areas that aren't places, or whose name means another place first (the country Samoa has Pacific/Apia).
_NO_PLACES = frozenset(f"Australia/{name}" for name in ("ACT", "LHI", "NSW", "North", "South", "West", "Victoria")) | {
    "America/Virgin",
    "America/Knox_IN",
    "Pacific/Samoa",
}

# Names that mean something else first; only with the word behind them ("Christmas Island") are they these places.
_ISLANDS_BY_NAME = ("Easter", "Christmas", "Norfolk", "Wake", "Midway", "Johnston")
# Places that are called so as well.
_ISLANDS_TOO = word_set(
    """
    Canary Cayman Chagos Chatham Cocos Faroe Galapagos Gambier Jan_Mayen Kerguelen Kosrae Lord_Howe Macquarie Madeira
    Maldives Marquesas Pitcairn Wallis
    """
)

# Words of a question that are a place only if they are written like a name, or with "in" before them.
_COMMON_WORDS = frozenset(("center", "jersey", "oral", "resolute", "stanley", "troll", "turkey"))

# Names that are better known for something else, with the word that has to be beside them.
_NEEDS = {
    "America/North_Dakota/Center": "dakota",
    "Antarctica/Casey": "antarctica",
    "Antarctica/Davis": "antarctica",
    "Antarctica/Mawson": "antarctica",
    "Antarctica/Palmer": "antarctica",
    "Antarctica/Troll": "antarctica",
}

_OTHER_NAMES = {
    "Belize City": "America/Belize",
    "Guatemala City": "America/Guatemala",
    "Ho Chi Minh City": "Asia/Ho_Chi_Minh",
    "Kuwait City": "Asia/Kuwait",
    "Luxembourg City": "Europe/Luxembourg",
    "New York City": "America/New_York",
    "Panama City": "America/Panama",
    "Tirana": "Europe/Tirane",
    "Vatican City": "Europe/Vatican",
    "Easter Island": "Pacific/Easter",
}

_COUNTRY_NAMES = {
    "AE": ("UAE",),
    "BN": ("Brunei Darussalam",),
    "CD": ("DR Congo", "DRC", "Democratic Republic of the Congo"),
    "CG": ("Congo", "Republic of the Congo"),
    "CI": ("Ivory Coast",),
    "CV": ("Cape Verde",),
    "CZ": ("Czech Republic", "Czechia"),
    "GB": ("United Kingdom", "UK", "U K", "Great Britain", "Britain", "England"),
    "KP": ("North Korea",),
    "KR": ("South Korea", "Korea"),
    "MM": ("Myanmar", "Burma"),
    "NL": ("Netherlands", "Holland"),
    "SZ": ("Eswatini", "Swaziland"),
    "TL": ("East Timor", "Timor Leste"),
    "TR": ("Turkey", "Türkiye"),
    "TT": ("Trinidad and Tobago", "Trinidad"),
    "US": ("United States", "USA", "US", "U S", "U S A", "United States of America", "America"),
    "VN": ("Vietnam", "Viet Nam"),
    "WS": ("Samoa",),
}

# States that are often named with their cities.
_STATES = {
    "America/Anchorage": "Alaska",
    "America/Boise": "Idaho",
    "America/Chicago": "Illinois",
    "America/Denver": "Colorado",
    "America/Detroit": "Michigan",
    "America/Edmonton": "Alberta",
    "America/Halifax": "Nova Scotia",
    "America/Juneau": "Alaska",
    "America/Los_Angeles": "California",
    "America/Montreal": "Quebec",
    "America/Nome": "Alaska",
    "America/Phoenix": "Arizona",
    "America/Regina": "Saskatchewan",
    "America/Toronto": "Ontario",
    "America/Vancouver": "British Columbia",
    "America/Winnipeg": "Manitoba",
    "Australia/Adelaide": "South Australia",
    "Australia/Brisbane": "Queensland",
    "Australia/Darwin": "Northern Territory",
    "Australia/Hobart": "Tasmania",
    "Australia/Melbourne": "Victoria",
    "Australia/Perth": "Western Australia",
    "Australia/Sydney": "New South Wales",
    "Pacific/Honolulu": "Hawaii",
}

_UNIVERSAL = ("UTC", "GMT")


@dataclass(frozen=True, slots=True)
class Place:
    """A place with a zone of its own.

    Attributes:
        zone: IANA name.
        name: The place as it is written: "Buenos Aires".
        within: What it lies in, for the label: "Japan", "Indiana"; empty if unknown or the same.
        country: ISO 3166 code, empty if unknown.
        is_country: A country that is a zone itself ("Japan").
        needs: A word of a question that has to stand beside the name ("antarctica").
    """

    zone: str
    name: str
    within: str = ""
    country: str = ""
    is_country: bool = False
    needs: str = ""


@dataclass(slots=True)
class Meaning:
    """What a name may mean: places, and what a place may lie in (codes of countries, zones of areas and states)."""

    places: list[Place] = field(default_factory=list)
    countries: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    common_word: bool = False

    def holds(self, place: Place) -> bool:
        """Whether `place` lies in what this name means."""
        return place.country in self.countries or place.zone in self.zones


@dataclass(slots=True)
class Atlas:
    """All names by their words. `longest` is the most words a name has."""

    names: dict[tuple[str, ...], Meaning] = field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    longest: int = 1

    def meaning(self, words: tuple[str, ...]) -> Meaning | None:
        """What these words mean; "newyork" is read as "new york", but never the other way round."""
        found = self.names.get(words)
        if found is None:
            spelled = self.joined.get("".join(words))
            if spelled is not None and len(spelled) > len(words):
                found = self.names[spelled]
        return found

    def add(self, name: str) -> Meaning:
        words = name_words(name)
        self.longest = max(self.longest, len(words))
        if len(words) > 1:
            self.joined.setdefault("".join(words), words)
        return self.names.setdefault(words, Meaning())


@functools.cache
def atlas() -> Atlas:
    """Read once per process, at the first question about the time."""
    zones = zoneinfo.available_timezones()
    country_of = _countries_of_zones()
    names_of = _names_of_countries()
    links = _links()
    known = Atlas()
    # Of several names of a zone the one that `zone.tab` lists comes first.
    for zone in sorted(zones, key=lambda zone: (zone not in country_of, zone)):
        area, _, rest = zone.partition("/")
        if area in _AREAS and rest and zone not in _NO_PLACES:
            own = country_of.get(zone, "")
            country = own or country_of.get(links.get(zone, ""), "")
            _add_place(known, zone, country, next(iter(names_of.get(own, [])), ""))
    for code, names in names_of.items():
        for name in names:
            known.add(name).countries.add(code)
            if name in zones:
                its = [zone for zone, its_country in country_of.items() if its_country == code]
                value = its[0] if len(its) == 1 else links.get(name, name)
                known.add(name).places.append(Place(value, name, country=code, is_country=True))
    for zone, state in _STATES.items():
        known.add(state).zones.add(zone)
    for zone in _UNIVERSAL:
        known.add(zone).places.append(Place(zone, zone))
    for name in _COMMON_WORDS:
        known.names.get((name,), Meaning()).common_word = True
    return known


def _add_place(known: Atlas, zone: str, country: str, country_name: str) -> None:
    *around, last = zone.split("/")
    name = last.replace("_", " ")
    within = around[1].replace("_", " ") if len(around) > 1 else country_name
    place = Place(zone, name, "" if within == name else within, country, needs=_NEEDS.get(zone, ""))
    names = [name]
    if last in _ISLANDS_BY_NAME:
        names = [f"{name} Island"]
    elif last in _ISLANDS_TOO:
        names += [f"{name} Island", f"{name} Islands"]
    elif last.startswith("St_"):
        names.append("Saint" + name[2:])
    for spelled in [*names, *(other for other, its in _OTHER_NAMES.items() if its == zone)]:
        known.add(spelled).places.append(place)
    for part in around:
        known.add(part).zones.add(zone)


# ---------------------------------------------------------------- the tables of the tz database


def _table(name: str) -> list[str]:
    """Lines of one of its text files: of the package `tzdata`, else of the system; empty if neither has it."""
    try:
        text = (importlib.resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        text = _system_table(name)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _system_table(name: str) -> str:
    for folder in zoneinfo.TZPATH:
        path = Path(folder) / name
        if path.is_file():
            return path.read_text(encoding="utf-8")
    return ""


def _countries_of_zones() -> dict[str, str]:
    rows = (line.split("\t") for line in _table("zone.tab"))
    return {row[2]: row[0] for row in rows if len(row) > 2}


def _names_of_countries() -> dict[str, list[str]]:
    """Names by code, the one for labels first."""
    names: dict[str, list[str]] = {}
    for line in _table("iso3166.tab"):
        code, _, name = line.partition("\t")
        names[code] = list(_country_names(code, name))
    return names


def _country_names(code: str, name: str) -> Iterator[str]:
    if "(" not in name:
        yield name
        if "&" in name:
            yield name.replace("&", "and")
    yield from _COUNTRY_NAMES.get(code, ())


def _links() -> dict[str, str]:
    """Other names of zones -> the name the tz database prefers."""
    rows = (line.split() for line in _table("tzdata.zi") if line.startswith("L "))
    return {row[2]: row[1] for row in rows if len(row) == 3}
