"""Arguments of a tool as they are typed: a JSON object, `name=value`, `name:=JSON`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tiny_agents.errors import UsageError

MAX_FILE_BYTES = 20_000_000

_PAIR = re.compile(r"([^\s=:{\[]+?)(:?=)(.*)", re.DOTALL)
SHOWN = 60
"""Characters around the place of an error that are shown."""


def read_arguments(words: Sequence[str], stdin: str | None = None) -> dict[str, Any]:
    """The arguments of a call.

    Args:
        words: A JSON object, or any number of `name=text` (`name=@FILE` is what is in a file, `@@` begins a text with @)
            and `name:=JSON`; later ones replace earlier ones. "-" is `stdin`.
        stdin: What was read from standard input, a JSON object.

    Raises:
        UsageError: Something else; errors in JSON name the line and the column.
    """
    arguments: dict[str, Any] = {}
    for word in words:
        if word == "-":
            arguments.update(json_object(stdin or "", "standard input"))
        elif word.lstrip().startswith(("{", "[")):
            arguments.update(json_object(word, "the arguments"))
        else:
            arguments.update([_pair(word)])
    return arguments


def _pair(word: str) -> tuple[str, Any]:
    found = _PAIR.fullmatch(word)
    if found is None:
        raise UsageError(f"{word[:SHOWN]!r} is no argument: write name=text, name:=JSON, or a whole JSON object")
    name, sign, text = found.groups()
    if sign == ":=":
        return name, read_json(text, name)
    if text.startswith("@@"):
        return name, text[1:]
    if text.startswith("@"):
        return name, _file(name, Path(text[1:]).expanduser())
    return name, text


def _file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}=@FILE: {path} isn't text in UTF-8 (byte {error.start + 1})") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{name}=@FILE: {path}: {reason} (a text that begins with @ is written with @@)") from error
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name}=@FILE: {path} is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    return text


def json_object(text: str, what: str) -> dict[str, Any]:
    """A JSON object in a text. Raises UsageError, with the place of what is wrong."""
    value = read_json(text, what)
    if not isinstance(value, dict):
        raise UsageError(f"{what}: must be a JSON object, {{...}}, but is {_KINDS.get(type(value), 'null')}")
    return value


def read_json(text: str, what: str) -> Any:
    """The JSON in a text. Raises UsageError, with the place of what is wrong."""
    try:
        return json.loads(text, parse_constant=_no_json)
    except json.JSONDecodeError as error:
        raise UsageError(f"{what}: no JSON at line {error.lineno}, column {error.colno}: {_place(error)}") from error
    except RecursionError as error:
        raise UsageError(f"{what}: the JSON is nested too deeply") from error
    except ValueError as error:
        raise UsageError(f"{what}: {error}") from error


def _place(error: json.JSONDecodeError) -> str:
    """What is wrong, and the text around it with a mark where it went wrong."""
    start = error.doc.rfind("\n", 0, error.pos) + 1
    end = error.doc.find("\n", error.pos)
    line = error.doc[start : end if end >= 0 else None]
    at = error.pos - start
    first = max(at - SHOWN // 2, 0)
    shown = f"{line[first:at]}▸{line[at : at + SHOWN // 2]}"
    return f"{error.msg[0].lower()}{error.msg[1:]}, at the ▸ in {shown}"


def _no_json(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_KINDS = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
