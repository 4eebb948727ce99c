"""What users and others do to a conversation in a terminal: it ends as they expect, with its terminal as it was."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.leftovers import Leftovers
from tests.support.openai_server import OpenAIServer, delta, raw, text
from tests.support.program import PROGRAM, environment, script, write_agent
from tests.support.terminal import CTRL_C, CTRL_D, ENTER, Terminal

READY = r"^>$"


@pytest.fixture
def talk(tmp_path: Path, leftovers: Leftovers) -> Iterator[Callable[[OpenAIServer], Terminal]]:
    """Opens a conversation with an agent that has a server; what it writes is searched for secrets."""
    opened: list[Terminal] = []

    def talk(server: OpenAIServer) -> Terminal:
        agent = write_agent(tmp_path, servers={"one": script("quick_server.py", env=leftovers.env)})
        command = [*PROGRAM, "run", agent, "--base-url", server.url]
        opened.append(Terminal(command, env=environment(tmp_path), cwd=tmp_path))
        opened[-1].wait_for(READY)
        assert leftovers.pids()
        return opened[-1]

    yield talk
    for terminal in opened:
        leftovers.seen(terminal.raw)
        terminal.__exit__(None, None, None)


@pytest.mark.promise("no leak", "no hang")
@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda terminal: terminal.type(CTRL_D), 0),
        (lambda terminal: (terminal.type(CTRL_C), terminal.wait_for("Ctrl\\+C again leaves"), terminal.type(CTRL_C)), 130),
        (lambda terminal: terminal.signal(signal.SIGTERM), 143),
        (lambda terminal: terminal.signal(signal.SIGHUP), 129),
    ],
    ids=["Ctrl+D", "Ctrl+C twice", "SIGTERM", "SIGHUP"],
)  # fmt: skip
def test_at_the_prompt_it_is_left_by(
    talk: Callable[..., Terminal], model: Callable[..., OpenAIServer], leave: Callable[[Terminal], Any], code: int
) -> None:
    terminal = talk(model(text("Fine.")))
    leave(terminal)
    assert terminal.wait_for_exit() == code
    assert terminal.echoes
    assert "Traceback" not in terminal.screen


@pytest.mark.promise("no leak", "no hang")
def test_a_terminal_that_goes_away_in_the_middle_of_an_answer_takes_all_along(
    talk: Callable[..., Terminal], model: Callable[..., OpenAIServer]
) -> None:
    server = model(raw(delta(content="The half"), then="stall"))
    terminal = talk(server)
    terminal.type("x" + ENTER)
    terminal.wait_for("The half")
    terminal.hang_up()
    assert server.gone.wait(60)


@pytest.mark.promise("no surprise")
def test_what_a_model_writes_moves_nothing_and_hides_nothing(
    talk: Callable[..., Terminal], model: Callable[..., OpenAIServer]
) -> None:
    hostile = "a\x1b]0;owned\x07\x1b[2J\x1b[?1049h\x9b2J\u202eb\u2066c\U000e0041d\re\x08f"
    terminal = talk(model(text(*hostile, "\n\nThe end.")))
    before = terminal.screen
    terminal.type("x" + ENTER)
    terminal.wait_for(r"^The end\.$")
    assert before.splitlines()[0] in terminal.screen  # nothing was cleared
    written = terminal.raw.decode("utf-8", "replace")
    for hidden in ("\x1b]0;owned", "\x1b[?1049h", "\x9b", "\u202e", "\u2066", "\U000e0041"):
        assert hidden not in written
    assert terminal.title != "owned"


@pytest.mark.promise("no loss", "no hang")
def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on(
    talk: Callable[..., Terminal], model: Callable[..., OpenAIServer]
) -> None:
    server = model(raw(delta(content="The half"), then="stall"), text("Fine."))
    terminal = talk(server)
    terminal.type("x" + ENTER)
    terminal.wait_for("The half")
    terminal.type(CTRL_C)
    terminal.wait_for("Stopped")
    terminal.wait_for(READY)
    terminal.type("y" + ENTER)
    terminal.wait_for(r"^Fine\.$")
    assert [message["content"] for message in server.chats[-1]["messages"][1:]] == ["x", "The half", "y"]
