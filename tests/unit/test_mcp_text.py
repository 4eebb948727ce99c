"""Text from servers and models is made safe, and says when something is missing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.mcp_client.text import encodable, encodable_json, last_lines, readable, shortened

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT)
def test_every_text_can_be_encoded_afterwards(text: str) -> None:
    for made_safe in (encodable(text), readable(text)):
        assert made_safe.encode().decode() == made_safe


@given(st.text())
def test_text_that_can_be_encoded_is_left_alone(text: str) -> None:
    assert encodable(text) == text


def test_a_surrogate_pair_becomes_its_character_and_half_of_one_a_replacement() -> None:
    assert encodable("\ud83d\ude00 \ud83d") == "😀 \ufffd"


def test_json_is_made_encodable_down_to_its_keys() -> None:
    value = encodable_json({"a\ud800": ["\udc00", {"b": ("c\ud800", 1, None, True)}]})
    assert value == {"a\ufffd": ["\ufffd", {"b": ["c\ufffd", 1, None, True]}]}
    json.dumps(value, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x00b\x07c\x9bd", "abcd"),
        ("say \u202eti\u202c", "say ti"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("zero\u200bwidth", "zerowidth"),
        ("tabs\tand\r\nlines\n", "tabs\tand\nlines\n"),
        ("👩‍👩‍👧 نامه‌ای", "👩‍👩‍👧 نامه‌ای"),
    ],
)
def test_what_a_reader_cannot_see_is_taken_out(text: str, seen: str) -> None:
    assert readable(text) == seen


def test_a_cut_is_announced() -> None:
    assert shortened("abc", 3) == "abc"
    cut = shortened("x" * 1_234_567, 10)
    assert cut == "x" * 10 + "\n[Cut here: these are the first 10 of 1,234,567 characters.]"


def test_the_last_lines_leave_empty_ones_out_and_bound_long_ones() -> None:
    assert last_lines("a\n\nb  \n\n" + "c" * 400 + "\n", 2) == ["b", "c" * 299 + "…"]
    assert last_lines("", 3) == []
