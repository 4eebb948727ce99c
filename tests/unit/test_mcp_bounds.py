"""How much a message may hold, told without reading it, and in a time that grows no faster than its length."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tiny_agents.mcp_client.text import bounded_json
from tiny_agents.mcp_client.transports.bounds import (
    LARGE_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    flattened,
    too_deep,
    too_many_values,
    whole_number,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for level in range(depth):
        value = {"a": value} if level % 2 else [value]
    return value


def test_values_are_counted_and_not_what_a_text_holds() -> None:
    assert too_many_values(b"[" + b"[]," * MAX_VALUES + b"1]")
    assert too_many_values(b"[" + b'"a",' * MAX_VALUES + b"1]")
    assert not too_many_values(json.dumps("[1, 2], " * LARGE_BYTES).encode())
    assert not too_many_values(b"[" + b"[]," * 1_000 + b" " * LARGE_BYTES + b"1]")


@pytest.mark.parametrize("text", ['\\"' * 2_000_000, '"' + '\\"' * 2_000_000 + "\\", "\\" * 4_000_001])
def test_text_without_an_end_takes_no_longer_than_any_other(text: str) -> None:
    started = time.process_time()
    too_many_values(text.encode())
    flattened(text)
    assert time.process_time() - started < 5


def test_depth_is_measured() -> None:
    assert not too_deep(nested(MAX_DEPTH))
    assert too_deep(nested(MAX_DEPTH + 1))
    assert too_deep({"a": [1, nested(100_000)]})
    assert not too_deep([[]] * 100_000)


def test_what_is_too_deep_to_be_read_is_cut_out_and_the_rest_stays() -> None:
    deep = '{"before": "[{", "deep": ' + "[" * 50_000 + "]" * 50_000 + ', "after": {"b": [1, "]"]}}'
    read = json.loads(flattened(deep))
    assert (read["before"], read["after"]) == ("[{", {"b": [1, "]"]})
    assert too_deep(read["deep"])
    assert flattened('{"a": [1, {"b": "}"}]}') == '{"a": [1, {"b": "}"}]}'


@pytest.mark.parametrize(("digits", "number"), [("12", 12), ("-7", -7), ("9" * 5_000, 1.7976931348623157e308)])
def test_numbers_that_nobody_can_hold_are_the_largest_there_is(digits: str, number: float) -> None:
    assert whole_number(digits) == number
    assert whole_number("-" + "9" * 5_000) == -1.7976931348623157e308


def test_data_that_is_too_long_becomes_the_beginning_of_its_text() -> None:
    assert bounded_json({"a": [1, 2]}, 20) == {"a": [1, 2]}
    assert bounded_json(5, 1) == 5
    assert bounded_json("x" * 30, 20).startswith("x" * 20 + "\n[Cut here")
    assert bounded_json([1] * 30, 20).startswith("[1, 1, 1, 1, 1, 1, 1\n[Cut here")
