"""What is typed while an answer comes: keys become lines that can be seen, and prompts that wait."""

import pytest
from prompt_toolkit.keys import Keys

from tiny_agents.cli.live.typed_lines import typed_lines
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.screen.safe_text import columns

ENTER, ESCAPE, BACKSPACE = Keys.ControlM.value, Keys.Escape.value, Keys.Backspace.value
LEFT, RIGHT, HOME, END, DELETE = (key.value for key in (Keys.Left, Keys.Right, Keys.Home, Keys.End, Keys.Delete))
PASTE = Keys.BracketedPaste.value


def typed(*keys, paste=str):
    ahead = TypedAhead(paste)
    for key in keys:
        ahead.press(key, "")
    return ahead


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("abc", ("abc", "")),
        ([*"abc", BACKSPACE], ("ab", "")),
        ([BACKSPACE], ("", "")),
        ([*"abc", LEFT, "x"], ("abx", "c")),
        ([*"abc", LEFT, LEFT, RIGHT], ("ab", "c")),
        ([*"abc", HOME, DELETE], ("", "bc")),
        ([*"abc", HOME, END, "d"], ("abcd", "")),
        ([*"one two ", "c-w"], ("one ", "")),
        ([*"one two", "c-u"], ("", "")),
        ([*"one", LEFT, "c-k"], ("on", "")),
        ([*"a", ESCAPE, ENTER, *"bc", "c-u"], ("a\n", "")),
        ([*"a", ESCAPE, ENTER, *"bc", "c-u", "c-u"], ("a", "")),
        ([*"a", ESCAPE, ENTER, *"bc", HOME], ("a\n", "bc")),
        ([*"a", ESCAPE, ENTER, *"bc", HOME, LEFT, HOME, END], ("a", "\nbc")),
        ([*"a", ESCAPE, ENTER, *"bc", HOME, LEFT, "c-k"], ("a", "bc")),
        ([*"a", ESCAPE, ENTER, "b"], ("a\nb", "")),
        ([*"a", ESCAPE, "f", "b"], ("ab", "")),
        ([*"a", Keys.Up.value, Keys.F5.value, "\x00", "b"], ("ab", "")),
        ([*"日本", LEFT], ("日", "本")),
    ],
)
def test_keys_write_a_line(keys, line):
    assert typed(*keys).line == line


def test_enter_sends_what_is_there_and_the_next_line_begins():
    ahead = typed(*"one", ENTER, ENTER, *"two", ENTER, *"thr")
    assert (ahead.entered, ahead.line) == (["one", "two"], ("thr", ""))
    assert ahead.take_back() == "one\ntwo\nthr"
    assert ahead.taken_back


def test_a_paste_is_inserted_as_the_prompt_would():
    ahead = TypedAhead(lambda text: f"[{len(text)}]")
    ahead.press(PASTE, "many\nlines")
    assert ahead.line == ("[10]", "")
    assert not ahead.entered


def test_what_was_typed_is_shown_below_each_prompt_in_one_row():
    assert typed_lines(typed(), 40, colour=False) == []
    ahead = typed(*"one", ENTER, *"t", ESCAPE, ENTER, *"wo ")
    assert typed_lines(ahead, 40, colour=False) == ["> one", "> t ⏎ wo "]
    many = typed(*(key for number in range(9) for key in (str(number), ENTER)))
    assert typed_lines(many, 40, colour=False) == ["> 6", "> 7", "> 8", "> "]


@pytest.mark.parametrize("text", ["x" * 100, "日" * 100, "a\n" * 50, "\x1b[2J" * 20])
def test_of_a_long_line_its_end_is_shown_and_nothing_steers_the_terminal(text):
    ahead = TypedAhead()
    ahead.press(PASTE, f"{text}end")
    (row,) = typed_lines(ahead, 30, colour=False)
    assert row.startswith("…")
    assert row.endswith("end")
    assert columns(row) <= 30
    assert "\x1b" not in row
