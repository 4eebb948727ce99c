"""Arguments whose type is wrong and whose meaning is clear: "5" where a tool wants 5. Pure.

Nothing else about arguments is checked here. What is missing or makes no sense is for the server to say, which knows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_FLAGS = {"true": True, "false": False, "True": True, "False": False}


def coerced(arguments: dict[str, Any], schema: Any) -> dict[str, Any]:
    """`arguments` with values of the schema's types, where that loses nothing; the same object if all is well.

    Only properties at the top whose schema names a single type are looked at. Text becomes the number, boolean, object or
    array that it spells; a number becomes text, and a whole 5.0 becomes 5.
    """
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return arguments
    changed = {}
    for name, value in arguments.items():
        wanted = properties.get(name)
        kind = wanted.get("type") if isinstance(wanted, Mapping) else None
        convert = _CONVERSIONS.get(kind) if isinstance(kind, str) else None
        if convert is not None and (converted := convert(value)) is not None:
            changed[name] = converted
    return {**arguments, **changed} if changed else arguments


# Each gives None where the value is fine, or can't be had in the type without loss.


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return None


def _number(value: Any) -> int | float | None:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value.strip()):
        return None
    whole = _integer(value)
    if whole is not None:
        return whole
    number = float(value)
    return number if math.isfinite(number) else None


def _boolean(value: Any) -> bool | None:
    return _FLAGS.get(value.strip()) if isinstance(value, str) else None


def _string(value: Any) -> str | None:
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _decoded(kind: type) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            return None
        try:
            found = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return None
        return found if isinstance(found, kind) else None

    return convert


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "array": _decoded(list),
    "object": _decoded(dict),
}
