"""How much one message of a server may hold besides its bytes: how many values, and how deep. Pure.

A megabyte of `[],[],` is thirty of memory, and code that follows data into its depths fails in the middle of it.
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

MAX_DEPTH = 100
"""Levels of lists and objects within each other."""

READ_DEPTH = 2 * MAX_DEPTH
"""Levels that are read at all; what is below becomes null."""

MAX_VALUES = 500_000
"""Values of one message, and names of values."""

LARGE_BYTES = 1024 * 1024
"""A message of fewer bytes can't hold more values than there is memory for."""

MAX_DIGITS = 1_000

_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'  # possessive, and ended by the end: each character is read once
_NESTING = re.compile(_STRING + r"|[\[{\]}]", re.DOTALL)
_VALUES = re.compile((_STRING + r'|[\[{]|[^\s\[\]{}",:]++').encode(), re.DOTALL)


def too_many_values(json_text: bytes) -> bool:
    """Whether a message holds more than `MAX_VALUES`, found out without reading it into memory."""
    if len(json_text) < LARGE_BYTES:
        return False
    return any(count >= MAX_VALUES for count, _ in enumerate(_VALUES.finditer(json_text)))


def flattened(json_text: str) -> str:
    """JSON text with null in place of what is nested deeper than `READ_DEPTH`, so that it can be read at all."""
    kept, depth, position = [], 0, 0
    for found in _NESTING.finditer(json_text):
        if found[0] in "[{":
            depth += 1
            if depth == READ_DEPTH:
                kept.append(json_text[position : found.start()])
        elif found[0] in "]}":
            if depth == READ_DEPTH:
                kept.append("null")
                position = found.end()
            depth -= 1
    return "".join([*kept, json_text[position:]])


def whole_number(digits: str) -> int | float:
    """A number of JSON; one of hundreds of digits is the largest there is."""
    return (
        int(digits) if len(digits) <= MAX_DIGITS else math.copysign(sys.float_info.max, -1 if digits[0] == "-" else 1)
    )


def too_deep(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether data is nested deeper than so many levels."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for item in level
            for inner in (item.values() if isinstance(item, dict) else item)
            if isinstance(inner, (dict, list))
        ]
        if not level:
            return False
    return True
