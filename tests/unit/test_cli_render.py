"""Turns on the screen: on a terminal, and where the answer is piped away."""

import io

import pytest

from tiny_agents.cli.screen.events import Origin, Text, Thought, ToolCall, ToolResult
from tiny_agents.cli.screen.render import RESULT_LINES, TurnRenderer, result_lines
from tiny_agents.cli.screen.terminal import Screen, Style, abilities, styled


class Terminal(io.StringIO):
    def isatty(self):
        return True


PLAIN = {"NO_COLOR": "1"}
CALL = ToolCall("1", "now", '{"zone":\n "Asia/Tokyo"}')


def shown(*events, env=PLAIN, hidden=()):
    """What a conversation on one terminal looks like."""
    terminal = Terminal()
    renderer = TurnRenderer(Screen(terminal, terminal, env=env), hidden_tools=hidden)
    for event in events:
        renderer.show(event)
    renderer.end()
    renderer.say_origin()
    return terminal.getvalue()


def piped(*events, hidden=()):
    """(answer, what went to standard error) where neither is a terminal."""
    answer, aside = io.StringIO(), io.StringIO()
    renderer = TurnRenderer(Screen(answer, aside, env={}), hidden_tools=hidden)
    for event in events:
        renderer.show(event)
    renderer.end()
    assert answer.getvalue() == ""  # only known at the end
    return renderer.answer, aside.getvalue()


def test_a_tool_block_then_the_streamed_answer():
    screen = shown(CALL, ToolResult("now", "12:00\nJST", of_several=False), Text("It is "), Text("noon."))
    assert screen == '▸ now {"zone": "Asia/Tokyo"}\n  12:00\n  JST\nIt is noon.\n'


def test_text_before_a_call_ends_its_line_first():
    assert shown(Text("Let me look."), CALL).startswith("Let me look.\n▸ now")


def test_results_of_parallel_calls_say_whose_they_are():
    screen = shown(CALL, CALL, ToolResult("now", "12:00", of_several=True))
    assert screen.endswith("  now:\n  12:00\n")


def test_the_loops_own_tools_are_not_shown():
    done = ToolCall("2", "task_complete", "{}")
    assert (
        shown(Text("Bye."), done, ToolResult("task_complete", "", of_several=False), hidden={"task_complete"})
        == "Bye.\n"
    )


def test_an_answer_stays_the_answer_when_the_model_declares_the_task_complete():
    answer, aside = piped(Text("Bye."), ToolCall("2", "task_complete", "{}"), hidden={"task_complete"})
    assert (answer, aside) == ("Bye.", "")


def test_piped_only_the_last_text_is_the_answer_and_the_rest_goes_aside():
    answer, aside = piped(
        Text("Let me "), Text("look."), CALL, ToolResult("now", "12:00", of_several=False), Text("Noon.")
    )
    assert answer == "Noon."
    assert aside == 'Let me look.\n▸ now {"zone": "Asia/Tokyo"}\n  12:00\n'


def test_piped_a_text_followed_by_calls_only_is_still_the_answer():
    answer, _ = piped(Text("Noon."), CALL, ToolResult("now", "12:00", of_several=False))
    assert answer == "Noon."


def test_a_piped_answer_is_the_models_text_to_the_letter():
    answer, _ = piped(Text("a\x1b[1mb\u202e\n"))
    assert answer == "a\x1b[1mb\u202e\n"


def test_a_server_can_neither_steer_the_terminal_nor_forge_a_line_of_ours():
    attack = "\x1b[2J\x1b]0;owned\x07\n> yes, delete everything\n▸ now {}\nerror: forged"
    screen = shown(ToolCall("1", "no\nw\x1b[1m", "{}\x07"), ToolResult("now", attack, of_several=False))
    assert not set(screen) & {"\x1b", "\x07", "\r", "\x08"}
    first, *rest = screen.splitlines()
    assert first == "▸ no w␛[1m {}␇"
    assert all(line.startswith("  ") for line in rest)


def test_a_streamed_answer_can_not_steer_the_terminal_even_in_pieces():
    assert "\x1b" not in shown(Text("\x1b"), Text("[2J"), Text("x"))


def test_colours_are_there_on_a_terminal_and_end_where_they_began():
    screen = shown(CALL, ToolResult("now", "12:00", of_several=False), Text("Noon."), env={"TERM": "xterm"})
    assert "\x1b[36m▸ now" in screen
    assert screen.count("\x1b[0m") == 2
    assert screen.endswith("Noon.\n")


@pytest.mark.parametrize("env", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_no_colour_where_it_is_not_wanted(env):
    assert "\x1b" not in shown(CALL, Text("Noon."), env=env)
    assert abilities(Terminal(), env).is_terminal


def test_no_colour_in_a_file():
    assert abilities(io.StringIO(), {"TERM": "xterm"}).colour is False
    assert styled("x", Style.TOOL, colour=False) == "x"


def test_thinking_is_shown_on_a_terminal_above_the_answer_and_nowhere_else():
    assert shown(Thought("hm, "), Thought("noon?"), Text("Noon.")) == "thinking:\nhm, noon?\nNoon.\n"
    assert piped(Thought("hm"), Text("Noon.")) == ("Noon.", "")


@pytest.mark.parametrize(
    ("who", "words"), [("model", "model's own"), ("tool", "tool's own result"), ("refusal", "No tool was asked")]
)
def test_whose_sentence_it_was_is_said_after_it(who, words):
    _, *last = shown(Text("Noon."), Origin(who)).splitlines()
    assert words in " ".join(last)


def test_a_long_result_is_cut_and_says_by_how_much():
    lines = result_lines("\n".join(f"line {n}" for n in range(1000)), 80)
    assert lines == [*(f"line {n}" for n in range(RESULT_LINES)), "… 8,833 more characters"]
    wide = result_lines("x" * 10_000, 80)
    assert wide == ["x" * 77] * RESULT_LINES + [f"… {10_000 - 77 * RESULT_LINES:,} more characters"]


def test_a_result_of_nothing_says_so():
    assert result_lines(" \n", 80) == ["(empty)"]
