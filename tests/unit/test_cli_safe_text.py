"""What reaches the terminal can't give it orders."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.cli.screen.safe_text import columns, neutralise, one_line, shorten, wrapped

DANGEROUS = [
    ("\x1b[2J\x1b[H", "␛[2J␛[H"),  # clears the screen
    ("\x1b]0;owned\x07", "␛]0;owned␇"),  # window title
    ("\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "␛]8;;http://evil␛\\click␛]8;;␛\\"),  # hyperlink
    ("\x1b]52;c;cm0gLXJmIH4=\x07", "␛]52;c;cm0gLXJmIH4=␇"),  # clipboard
    ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
    ("safe\rEVIL", "safe␍EVIL"),  # overwrites its own line
    ("abc\x08\x08\x08", "abc␈␈␈"),
    ("\x9b2J\x9d0;t\x9c", "⟨U+009B⟩2J⟨U+009D⟩0;t⟨U+009C⟩"),  # the same orders in 8-bit form
    ("\x00\x07\x7f", "␀␇␡"),
    ("ls \u202etxt.exe", "ls ⟨U+202E⟩txt.exe"),
    ("a\u2066b\u2069c", "a⟨U+2066⟩b⟨U+2069⟩c"),
    ("hi\U000e0041\U000e0042", "hi⟨U+E0041⟩⟨U+E0042⟩"),  # tag characters: hidden text
    ("x\U000e0100", "x⟨U+E0100⟩"),
    ("zero\u200bwidth\ufeff\u2060\u200e", "zerowidth"),
    ("\ud800", "\N{REPLACEMENT CHARACTER}"),
]


@pytest.mark.parametrize(("text", "expected"), DANGEROUS)
def test_dangerous_characters_become_visible_or_nothing(text, expected):
    assert neutralise(text) == expected


@pytest.mark.parametrize(
    "text",
    ["plain", "two\nlines\tand a tab", "日本語", "مرحبا", "می‌خواهم", "क्‍ष", "👩‍👩‍👧 🏳️‍🌈", "naïve", "▸ …"],
)
def test_ordinary_text_of_any_script_stays_as_it_is(text):
    assert neutralise(text) == text


def test_windows_line_ends_become_newlines():
    assert neutralise("a\r\nb\r\n") == "a\nb\n"


@given(st.text())
def test_no_control_or_bidi_character_survives_and_the_result_can_be_encoded(text):
    result = neutralise(text)
    result.encode("utf-8")
    assert not [c for c in result if unicodedata.category(c) == "Cc" and c not in "\n\t"]
    assert not [c for c in result if unicodedata.bidirectional(c) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI"}]
    assert not [c for c in result if 0xE0000 <= ord(c) < 0xE0200]


@given(st.text(), st.text())
def test_a_text_may_be_cut_anywhere(first, second):
    if not first.endswith("\r"):
        assert neutralise(first) + neutralise(second) == neutralise(first + second)


def test_one_line_joins_and_cuts():
    assert one_line("a\n  b\tc\x1b[0m") == "a b c␛[0m"
    assert one_line("abcdefgh", 5) == "abcd…"
    assert one_line("abcde", 5) == "abcde"


def test_shorten_keeps_short_text_whole():
    assert shorten("one\ntwo\n") == shorten("one\ntwo")
    assert shorten("one\ntwo").lines == ("one", "two")
    assert shorten("one\ntwo").cut == 0


def test_shorten_says_how_many_characters_it_left_out():
    tall = shorten("\n".join("ab" for _ in range(10)), max_lines=3)
    assert tall.lines == ("ab", "ab", "ab")
    assert tall.cut == len("\n".join(["ab"] * 7))
    wide = shorten("x" * 1000, max_columns=50, max_lines=2)
    assert wide.lines == ("x" * 50, "x" * 50)
    assert wide.cut == 900


@given(st.text(alphabet="ab\n 日é"), st.integers(2, 9), st.integers(1, 5))
def test_a_shortened_text_fits_and_accounts_for_every_character(text, width, height):
    short = shorten(text, max_columns=width, max_lines=height)
    assert len(short.lines) <= height
    assert all(columns(line) <= width for line in short.lines)
    assert short.cut >= 0
    joined = "".join(short.lines).replace(" ", "")  # a line broken between words ends without a space
    whole = text.replace("\n", "").replace(" ", "")
    assert whole.startswith(joined)
    assert short.cut or joined == whole


def test_wide_and_combining_characters_count_as_a_terminal_draws_them():
    assert columns("日本") == 4
    assert columns("e\u0301") == 1
    assert columns("abc") == 3


def test_lines_break_between_words_and_go_on_below_their_text():
    assert shorten("one two three", max_columns=8).lines == ("one two", "three")
    assert shorten("  one two three", max_columns=8).lines[0] == "  one"
    assert wrapped("error: it is all wrong", 12) == ["error: it is", "all wrong"]
    assert wrapped("  * a b c d e", 8) == ["  * a b", "  c d e"]
    assert wrapped("▸ call abcdef", 8, indent="    ") == ["▸ call", "    abcd", "    ef"]
    assert wrapped("", 8) == [""]


@given(st.text(alphabet="ab\n 日é\x1b"), st.integers(4, 12))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, width):
    lines = wrapped(text, width)
    assert all(columns(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.replace("\x1b", "␛").split())
