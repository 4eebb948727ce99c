"""The text of a definition -> values that know where they stand, so that every complaint can name file, line and key.

YAML is read from the parser's events, never constructed: no tags, no duplicate keys, aliases copied on a budget, and the
plain words of YAML 1.2 only (`yes`, `on`, `12:30` and `2026-11-20` are text; `true`, `null`, `8080` and `0.5` are not).
JSON is read by the standard library; a second pass finds the places.
"""

from __future__ import annotations

import json
import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import ConfigError

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 32
"""Levels of lists and mappings in one another; the format itself needs five."""
MAX_VALUES = 20_000
"""Values in one document, those that aliases repeat counted each time."""

_SHOWN_CHARS = 100
_BARE_KEY = re.compile(r"[\w@/-]+")
_VALUE_IN_KEY = re.compile(r"(?<=\w)[:=#]")
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]{1,300}(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def child_key(parent: str, name: str | int) -> str:
    """The path of an entry: `child_key("servers", 1)` is `servers[1]`, then `servers[1].url`.

    Paths are shown in errors: of `API_KEY:secret`, where a space is missing, only the beginning is in one.
    """
    if isinstance(name, int):
        return f"{parent}[{name}]"
    if not _BARE_KEY.fullmatch(name):
        if value := _VALUE_IN_KEY.search(name):
            name = f"{name[: value.start()]}…"
        return f"{parent}[{json.dumps(name, ensure_ascii=False)}]"
    return f"{parent}.{name}" if parent else name


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'model'?)` for the known name nearest to `name`, whatever its case and underscores; "" for none."""
    plain = {_letters(candidate): candidate for candidate in known}
    near = get_close_matches(_letters(name), plain, n=1, cutoff=0.6)
    return f" (did you mean {plain[near[0]]!r}?)" if near else ""


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())


class Value(msgspec.Struct, frozen=True):
    """A piece of a definition and its place.

    Attributes:
        data: Text, number, bool, None, a list of values, or a mapping from text to values.
        written: A scalar as it stands in the file (without quotes); "" for lists and mappings.
        key: Path from the top, such as `servers[1].url`; "" for the whole document.
        line: From 1. The entry of a mapping stands where its key stands.
        column: From 1.
    """

    data: str | int | float | bool | list[Value] | dict[str, Value] | None
    written: str
    key: str
    path: str | None
    line: int
    column: int

    def error(self, problem: str) -> ConfigError:
        return ConfigError(problem, path=self.path, key=self.key or None, line=self.line, column=self.column)

    def missing(self, name: str, why: str) -> ConfigError:
        """The error of an entry that should be in this mapping."""
        key = child_key(self.key, name)
        return ConfigError(f"missing; {why}", path=self.path, key=key, line=self.line, column=self.column)

    @property
    def kind(self) -> str:
        """What this is, in words that finish the sentence "must be text, but is ..."."""
        match self.data:
            case None:
                return "empty"
            case bool():
                return self.written
            case int() | float():
                return "a number"
            case str():
                return "text"
            case list():
                return "a list"
            case _:
                return "a mapping"

    @property
    def shown(self) -> str:
        """This value at the end of "must be ..., but is": a scalar as it is written, text in quotes."""
        if isinstance(self.data, str):
            return repr(self.data if len(self.data) <= _SHOWN_CHARS else f"{self.data[:_SHOWN_CHARS]}…")
        return self.written if isinstance(self.data, (int, float)) else self.kind

    # ---- typed readings; each raises ConfigError at this place where the value is something else

    def text(self, *, blank: bool = False) -> str:
        """This text. With `blank`, it may be empty."""
        if not isinstance(self.data, str):
            hint = "; put it in quotes if that is the text" if isinstance(self.data, (bool, int, float)) else ""
            raise self.error(f"must be text, but is {self.kind}{hint}")
        return self._checked(self.data, blank)

    def text_as_written(self) -> str:
        """This scalar as text: arguments and environment variables are text, so `8080` and `true` need no quotes."""
        if isinstance(self.data, (list, dict)):
            raise self.error(f"must be text, but is {self.kind}")
        if self.data is None:
            raise self.error('is empty; write "" for an empty text')
        return self._checked(self.data if isinstance(self.data, str) else self.written, blank=True)

    def _checked(self, text: str, blank: bool) -> str:
        if not blank and not text.strip():
            raise self.error("is empty; give it a value or remove the key")
        if "\0" in text:
            raise self.error("contains a NUL character, which no program accepts")
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise self.error(r"contains half of a character (a lone surrogate such as \ud800)")
        return text

    def flag(self) -> bool:
        if not isinstance(self.data, bool):
            raise self.error(f"must be true or false, but is {self.shown}")
        return self.data

    def seconds(self) -> float:
        """A number above zero, with or without a fraction."""
        if isinstance(self.data, bool) or not isinstance(self.data, (int, float)):
            raise self.error(f"must be a number of seconds, but is {self.shown}")
        if not (self.data > 0 and math.isfinite(self.data)):
            raise self.error(f"must be a number of seconds above 0, but is {self.written}")
        return float(self.data)

    def count(self) -> int:
        """A whole number from 1."""
        return self.whole(1)

    def whole(self, low: int = 0) -> int:
        """A whole number from `low`."""
        if isinstance(self.data, bool) or not isinstance(self.data, int):
            if re.fullmatch(r"[-+]?[0-9]+", self.written) and isinstance(self.data, float):
                raise self.error("is too large a number")
            raise self.error(f"must be a whole number, but is {self.shown}")
        if self.data < low:
            raise self.error(f"must be at least {low}, but is {self.written}")
        return self.data

    def number(self, low: float | None = None, high: float | None = None) -> float:
        """A number from `low` to `high`."""
        if isinstance(self.data, bool) or not isinstance(self.data, (int, float)):
            raise self.error(f"must be a number, but is {self.shown}")
        if not math.isfinite(self.data):
            raise self.error(f"must be a number, but is {self.written}")
        if low is not None and self.data < low:
            raise self.error(f"must be at least {low:g}, but is {self.written}")
        if high is not None and self.data > high:
            raise self.error(f"must be at most {high:g}, but is {self.written}")
        return self.data

    def mapping(self) -> dict[str, Value]:
        if not isinstance(self.data, dict):
            raise self.error(f"must be a mapping of keys to values, but is {self.kind}")
        return self.data

    def items(self) -> list[Value]:
        if not isinstance(self.data, list):
            raise self.error(f"must be a list, but is {self.kind}")
        return self.data

    def texts(self) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(item.text_as_written() for item in self.items())

    def text_map(self) -> dict[str, str]:
        """A mapping from names to texts: environment variables, headers."""
        return {name: value.text_as_written() for name, value in self.mapping().items()}

    # ---- the whole tree

    def plain(self) -> Any:
        """This value and everything in it without places: text, numbers, bools, None, lists, dictionaries."""
        if isinstance(self.data, list):
            return [item.plain() for item in self.data]
        if isinstance(self.data, dict):
            return {name: value.plain() for name, value in self.data.items()}
        return self._checked(self.data, blank=True) if isinstance(self.data, str) else self.data

    def walk(self) -> Iterator[Value]:
        """This value and everything in it."""
        yield self
        children = (
            self.data if isinstance(self.data, list) else self.data.values() if isinstance(self.data, dict) else ()
        )
        for child in children:
            yield from child.walk()


# ---- YAML

_YAML_HINTS = {
    "found character '\\t' that cannot start any token": "indent with spaces, not with tabs",
    "mapping values are not allowed here": "check the indentation; a text that contains ': ' needs quotes",
    "could not find expected ':'": "a key is followed by a colon and a space",
    "found character '@' that cannot start any token": "a text that starts with @ needs quotes",
    "found character '`' that cannot start any token": "a text that starts with a backtick needs quotes",
    "found character '%' that cannot start any token": "a text that starts with % needs quotes",
    **dict.fromkeys(
        ("expected ',' or ']', but got '?'", "expected ',' or '}', but got '?'"),
        "a text with a question mark needs quotes between [ ] or { }",
    ),
}


def read_yaml(text: str, path: str | None = None) -> Value:
    """The one document in `text`. Raises ConfigError, whatever `text` is."""
    import yaml

    try:
        return _YamlReader(text, path).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        raise ConfigError(_yaml_problem(error), path=path, line=line, column=column) from None  # it quotes the line
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"not valid YAML: the character U+{int(error.character):04X} is not allowed"
        raise ConfigError(problem, path=path, line=line) from None
    except (ValueError, OverflowError) as error:  # PyYAML lets these out for some escapes and directives
        raise ConfigError("not valid YAML: a number in a directive or an escape is out of range", path=path) from error


def _yaml_problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it can't be read"
    if hint := _YAML_HINTS.get(problem):
        return f"not valid YAML: {problem} ({hint})"
    began = error.context_mark
    since = f" {error.context}" if error.context else ""
    if since and began and error.problem_mark and began.line != error.problem_mark.line:
        since += f" that began on line {began.line + 1}"
    return f"not valid YAML: {problem}{since}"


class _YamlReader:
    """One pass over the parser's events."""

    def __init__(self, text: str, path: str | None) -> None:
        import yaml

        self._yaml = yaml
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self._path = path
        self._anchors: dict[str, Value] = {}
        self._left = MAX_VALUES

    def document(self) -> Value:
        root: Value | None = None
        for event in self._events:
            if not isinstance(event, (self._yaml.ScalarEvent, self._yaml.CollectionStartEvent, self._yaml.AliasEvent)):
                continue
            if root is not None:
                raise self._error(event, "", "holds a second document; keep one, without a '---' between two parts")
            root = self._value(event, "", 0, event.start_mark)
        if root is None:
            raise ConfigError("is empty", path=self._path)
        return root

    def _error(self, event: yaml.Event, key: str, problem: str) -> ConfigError:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
        return ConfigError(problem, path=self._path, key=key or None, line=line, column=column)

    def _value(self, event: Any, key: str, depth: int, mark: Any) -> Value:
        """The value that `event` starts; `mark` is where it counts as standing."""
        if isinstance(event, self._yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise self._error(
                    event, key, f"*{event.anchor} names nothing that was marked with &{event.anchor} before"
                )
            return self._copy(event, self._anchors[event.anchor], key, depth, mark)
        self._spend(event, key, depth)
        if event.tag is not None and not (event.tag == "!" and isinstance(event, self._yaml.ScalarEvent)):
            raise self._error(
                event, key, f"tags such as {_short_tag(event.tag)} are not accepted; write the value without"
            )
        data: Any
        if isinstance(event, self._yaml.ScalarEvent):
            # implicit[0]: a plain scalar without quotes, the only kind that can be something other than text
            data = _plain(event.value) if event.implicit[0] else _joined_surrogates(event.value)
        elif isinstance(event, self._yaml.SequenceStartEvent):
            data = self._items(key, depth)
        else:
            data = self._entries(key, depth)
        written = event.value if isinstance(event, self._yaml.ScalarEvent) else ""
        value = Value(data, written, key, self._path, mark.line + 1, mark.column + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _spend(self, event: yaml.Event, key: str, depth: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._error(event, key, f"the document holds more than {MAX_VALUES:,} values, repeated ones included")
        if depth > MAX_DEPTH:
            raise self._error(event, key, f"lists and mappings are nested more than {MAX_DEPTH} levels deep")

    def _items(self, key: str, depth: int) -> list[Value]:
        items: list[Value] = []
        for event in self._events:
            if isinstance(event, self._yaml.SequenceEndEvent):
                break
            items.append(self._value(event, child_key(key, len(items)), depth + 1, event.start_mark))
        return items

    def _entries(self, key: str, depth: int) -> dict[str, Value]:
        entries: dict[str, Value] = {}
        for event in self._events:
            if isinstance(event, self._yaml.MappingEndEvent):
                break
            if not isinstance(event, self._yaml.ScalarEvent) or event.tag is not None:
                raise self._error(event, key, "a key must be plain text")
            name = event.value
            if name in entries:
                first = entries[name].line
                raise self._error(event, child_key(key, name), f"appears twice; the first is on line {first}")
            entries[name] = self._value(next(self._events), child_key(key, name), depth + 1, event.start_mark)
        return entries

    def _copy(self, event: yaml.Event, value: Value, key: str, depth: int, mark: Any) -> Value:
        """What an alias repeats, under its own key."""
        self._spend(event, key, depth)
        data: Any = value.data
        if isinstance(data, list):
            data = [self._copy(event, item, child_key(key, n), depth + 1, mark) for n, item in enumerate(data)]
        elif isinstance(data, dict):
            data = {k: self._copy(event, item, child_key(key, k), depth + 1, mark) for k, item in data.items()}
        return replace(value, data=data, key=key, line=mark.line + 1, column=mark.column + 1)


def _plain(text: str) -> str | int | float | bool | None:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _short_tag(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _joined_surrogates(text: str) -> str:
    r"""JSON writes a character beyond U+FFFF as two escapes, `\ud83d\ude00`; in YAML text they mean the same."""
    if not any("\ud800" <= char <= "\udbff" for char in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


# ---- JSON


def read_json(text: str, path: str | None = None) -> Value:
    """The value in `text`. Raises ConfigError, whatever `text` is."""
    try:
        json.loads(text)
        return _JsonPlaces(text, path).document()
    except json.JSONDecodeError as error:
        problem = f"not valid JSON: {error.msg}{_json_hint(text, error)}"
        raise ConfigError(problem, path=path, line=error.lineno, column=error.colno) from None  # it has the whole text
    except RecursionError:
        problem = f"lists and objects are nested more than {MAX_DEPTH} levels deep"
        raise ConfigError(problem, path=path) from None
    except ValueError as error:  # Python refuses whole numbers of more than 4300 digits
        raise ConfigError("not valid JSON: a number in it has too many digits", path=path) from error


def _json_hint(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return " (the file is empty)"
    if text.startswith(("//", "/*", "#"), error.pos):
        return " (JSON has no comments; agent.yaml has)"
    if text[: error.pos].rstrip().endswith(",") or "trailing comma" in error.msg:
        return " (is there a comma after the last entry?)"
    return ""


_BLANKS = re.compile(r"[ \t\n\r]*")


class _JsonPlaces:
    """Reads a text that `json.loads` has accepted once more, keeping the place of each value."""

    def __init__(self, text: str, path: str | None) -> None:
        self._text = text
        self._path = path
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]
        self._scalar = json.JSONDecoder().raw_decode
        self._left = MAX_VALUES

    def document(self) -> Value:
        return self._value(self._skip(0), "", 0, None)[0]

    def _skip(self, at: int) -> int:
        match = _BLANKS.match(self._text, at)
        return match.end() if match else at

    def _value(self, at: int, key: str, depth: int, stands_at: int | None) -> tuple[Value, int]:
        """The value that starts at offset `at`, and the offset after it."""
        if depth > MAX_DEPTH:
            raise RecursionError
        self._left -= 1
        if self._left < 0:
            raise ConfigError(f"the document holds more than {MAX_VALUES:,} values", path=self._path, key=key or None)
        data: Any
        match self._text[at]:
            case "{":
                data, end = self._entries(at + 1, key, depth)
            case "[":
                data, end = self._items(at + 1, key, depth)
            case _:
                data, end = self._scalar(self._text, at)
        written = "" if isinstance(data, (list, dict)) else data if isinstance(data, str) else self._text[at:end]
        offset = at if stands_at is None else stands_at
        line = bisect_right(self._lines, offset)
        return Value(data, written, key, self._path, line, offset - self._lines[line - 1] + 1), end

    def _items(self, at: int, key: str, depth: int) -> tuple[list[Value], int]:
        items: list[Value] = []
        at = self._skip(at)
        while self._text[at] != "]":
            item, at = self._value(at, child_key(key, len(items)), depth + 1, None)
            items.append(item)
            at = self._after_comma(at)
        return items, at + 1

    def _entries(self, at: int, key: str, depth: int) -> tuple[dict[str, Value], int]:
        entries: dict[str, Value] = {}
        at = self._skip(at)
        while self._text[at] != "}":
            name, end = self._scalar(self._text, at)
            colon = self._skip(end)
            entries[name], end = self._value(self._skip(colon + 1), child_key(key, name), depth + 1, at)
            at = self._after_comma(end)
        return entries, at + 1

    def _after_comma(self, at: int) -> int:
        at = self._skip(at)
        return self._skip(at + 1) if self._text[at] == "," else at
