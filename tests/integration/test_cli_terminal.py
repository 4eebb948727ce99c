"""`tiny-agents run` in a pseudo-terminal: what a person types and what they see."""

from __future__ import annotations

import re
import signal
import stat
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, status, text
from tests.support.processes import Mark, linux_only
from tests.support.program import LIMIT_S, PROGRAM, environment, script, usual, write_agent

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")]
if sys.platform != "win32":
    from tests.support.terminal import ALT_ENTER, CTRL_C, CTRL_D, ENTER, UP, Terminal

READY = r"^>$"  # an empty prompt


@pytest.fixture
def open_terminal(tmp_path):
    """Opens a terminal with `tiny-agents run AGENT --base-url ...` in it."""

    def open_terminal(model: OpenAIServer, agent: str, *flags: str, **env: str) -> Terminal:
        command = [*PROGRAM, "run", agent, "--base-url", model.url, "--yes", *flags]
        return Terminal(command, env=environment(tmp_path, **env), cwd=tmp_path)

    return open_terminal


@pytest.fixture
def bare(tmp_path):
    return write_agent(tmp_path)


@pytest.fixture
def quick(tmp_path):
    """An agent with a server that has the tools echo, wait and refuse."""
    servers = {"quick": script("quick_server.py", str(tmp_path / "waiting"))}
    return write_agent(tmp_path, description="Helps.", servers=servers)


def said(request: Recorded) -> str:
    """What the user said last."""
    return [message["content"] for message in request.body["messages"] if message["role"] == "user"][-1]


def wait_for_file(path: Path) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.01)


def test_a_conversation_from_the_first_key_to_ctrl_d(tmp_path, quick, open_terminal):
    more = threading.Event()
    turns = [
        calls(("echo", {"text": "one\ntwo"})),
        raw(delta(content="It is "), lambda: more.wait(LIMIT_S), delta(content="done."), delta("stop")),
        text("Again."),
    ]
    with OpenAIServer(turns) as model, open_terminal(model, quick) as terminal:
        terminal.wait_for(READY)
        banner = usual(terminal.screen).splitlines()
        assert banner[0] == "helper · Helps."
        assert banner[1].startswith(f"model: m at {model.origin.removeprefix('http://')} (from the command line)")
        assert banner[2] == "server: quick, 4 tools"
        terminal.type("Do it" + ENTER)
        terminal.wait_for(r"^It is$")  # the answer isn't finished, and can be seen
        more.set()
        terminal.wait_for(READY)
        turn = terminal.above_foot[terminal.screen.index("> Do it") :].splitlines()
        assert turn == ["> Do it", '▸ quick.echo {"text": "one\\ntwo"}', "  one", "  two", "It is done.", "", ">"]
        assert b"\x1b[36m\xe2\x96\xb8 quick.echo" in terminal.raw
        terminal.type(UP)
        terminal.wait_for(r"^> Do it$", times=2)
        terminal.type(ENTER)
        terminal.wait_for(r"^Again\.$")
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
        assert terminal.echoes
    roles = [message["role"] for message in model.chats[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "user"]
    (history,) = (tmp_path / "data" / "tiny-agents" / "histories").iterdir()
    assert "+Do it" in history.read_text()
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_ctrl_c_stops_an_answer_and_keeps_the_session(bare, open_terminal):
    def respond(request: Recorded) -> Turn:
        return text("I think ", "that", then="stall") if said(request) == "Think" else text("Fine.")

    with OpenAIServer(respond) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("Think" + ENTER)
        terminal.wait_for(r"^I think that$")
        terminal.type(CTRL_C)
        terminal.wait_for(r"^Stopped\. Kept: your question, 12 characters of the answer\.$")
        assert model.gone.wait(LIMIT_S)
        terminal.wait_for(READY)
        assert "^C" not in terminal.screen
        terminal.type("And now?" + ENTER)
        terminal.wait_for(r"^Fine\.$")
        kept = [message["content"] for message in model.chats[-1]["messages"][1:]]
        assert kept == ["Think", "I think that", "And now?"]
        terminal.wait_for(READY)
        terminal.type(CTRL_C)
        terminal.wait_for("Ctrl\\+C again leaves")
        terminal.wait_for(READY, times=2)
        terminal.type(CTRL_C)
        assert terminal.wait_for_exit() == 130


def test_ctrl_c_stops_the_showing_of_an_answer_that_came_all_at_once(bare, open_terminal):
    whole = "A **word**, and `another`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" * 30_000

    def respond(request: Recorded) -> Turn:
        return text(whole) if said(request) == "All" else text("Fine.")

    with OpenAIServer(respond) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("All" + ENTER)
        terminal.wait_for(r"^A word, and another\.$")
        terminal.type(CTRL_C)
        terminal.wait_for(r"^… [\d,]+ more characters that came aren't shown\.$")
        terminal.wait_for(READY)
        terminal.type("And now?" + ENTER)
        terminal.wait_for(r"^Fine\.$")
        assert model.chats[-1]["messages"][-2]["content"] == whole


def test_ctrl_c_stops_a_tool_and_its_server_lives_on(tmp_path, quick, open_terminal):
    wanted = {"Wait": calls(("wait", {})), "Go": calls(("echo", {"text": "here", "with_pid": True}))}

    def respond(request: Recorded) -> Turn:
        if request.body["messages"][-1]["role"] == "tool":
            return text("Fine.")
        return wanted[said(request)]

    with OpenAIServer(respond) as model, open_terminal(model, quick) as terminal:
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        before = re.search(r"^  (\d+) here$", terminal.wait_for(r"^Fine\.$"), re.MULTILINE)
        terminal.wait_for(READY)
        terminal.type("Wait" + ENTER)
        terminal.wait_for(r"^▸ quick\.wait \{\}$")
        wait_for_file(tmp_path / "waiting")
        terminal.type(CTRL_C)
        terminal.wait_for(r"^Stopped\. Kept: your question, the note that 1 tool call was interrupted\.$")
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(r"^Fine\.$", times=2)
        after = re.findall(r"^  (\d+) here$", terminal.screen, re.MULTILINE)
        assert before is not None
        assert after == [before[1], before[1]]  # the same process
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0


def test_a_failed_turn_is_shown_and_its_prompt_comes_back(bare, open_terminal):
    turns = [status(400, {"error": {"message": "this model\x1b[2J is not for you"}}), text("Fine.")]
    with OpenAIServer(turns) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("Do it" + ENTER)
        screen = terminal.wait_for(r"^The conversation goes on")
        assert "answered 400: this model␛[2J is not for you" in screen.replace("\n", " ")
        assert "Traceback" not in screen
        terminal.wait_for(READY)
        terminal.type(UP + ENTER)
        terminal.wait_for(r"^Fine\.$")
        assert [message["content"] for message in model.chats[-1]["messages"][1:]] == ["Do it"]


def test_a_conversation_goes_on_without_its_servers_and_past_the_turn_limit(tmp_path, open_terminal):
    servers = {"dead": script("bad_server.py", "exits_at_start")}
    agent = write_agent(tmp_path, servers=servers, max_turns=2)
    turns = [calls(("ping", {})), calls(("ping", {})), text("Fine.")]
    with OpenAIServer(turns) as model, open_terminal(model, agent) as terminal:
        screen = terminal.wait_for(READY)
        assert "warning: MCP server 'dead' exited with status 3" in screen
        assert "fatal: no such key *** in settings" in screen
        terminal.type("Try" + ENTER)
        terminal.wait_for(r"^Stopped after 2 model calls, the limit")
        terminal.wait_for(READY)
        terminal.type("And now?" + ENTER)
        terminal.wait_for(r"^Fine\.$")


def test_pasted_lines_are_one_prompt_and_alt_enter_makes_a_new_line(bare, open_terminal):
    with OpenAIServer([text("Fine.")]) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("\x1b[200~first\nsecond\x1b[201~")
        terminal.wait_for(r"second$")
        terminal.type(ALT_ENTER + "third" + ENTER)
        terminal.wait_for(r"^Fine\.$")
        assert said(model.requests[-1]) == "first\nsecond\nthird"


def test_what_is_typed_during_an_answer_is_seen_and_waits_for_the_next_prompt(bare, open_terminal):
    more = threading.Event()
    turns = [
        raw(delta(content="Wait"), lambda: more.wait(LIMIT_S), delta(content=" over."), delta("stop")),
        text("Fine."),
    ]
    with OpenAIServer(turns) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("One" + ENTER)
        terminal.wait_for(r"^Wait$")
        terminal.type("Twi")
        terminal.wait_for(r"^Wait\n.*Ctrl\+C stops\n> Twi$")
        terminal.type("\x7fo" + ENTER)
        terminal.wait_for(r"Ctrl\+C stops\n> Two\n>$")
        terminal.type("\x1b[200~pasted\nlines\x1b[201~")
        terminal.wait_for(r"^> Two\n> pasted ⏎ lines$")
        terminal.type("\x15" * 3 + CTRL_D)
        more.set()
        assert terminal.wait_for_exit() == 0
        *conversation, last = terminal.screen[terminal.screen.index("> One") :].splitlines()
        assert conversation == ["> One", "Wait over.", "", "> Two", "Fine.", "", ">"]
        assert last.startswith("Come back to this conversation with: ")
        assert said(model.requests[-1]) == "Two"


def test_what_was_typed_ahead_is_not_sent_after_an_answer_that_was_stopped_or_failed(bare, open_terminal):
    def respond(request: Recorded) -> Turn:
        return text("I think", then="stall") if said(request) == "Think" else text("Fine.")

    with OpenAIServer(respond) as model, open_terminal(model, bare) as terminal:
        terminal.wait_for(READY)
        terminal.type("Think" + ENTER)
        terminal.wait_for(r"^I think$")
        terminal.type("Two" + ENTER + "and")
        terminal.wait_for(r"^> Two\n> and$")
        terminal.type(CTRL_C)
        terminal.wait_for(r"^Stopped\. .*\n\n> Two\n  and$")
        terminal.type(" more" + ENTER)
        terminal.wait_for(r"^Fine\.$")
        assert said(model.requests[-1]) == "Two\nand more"


def test_an_answer_goes_on_in_a_window_that_changes_its_size(bare, open_terminal):
    steps = [threading.Event() for _ in range(3)]
    words = [f"word{number}" for number in range(60)]
    pieces = [" ".join(words[start : start + 15]) + " " for start in range(0, 60, 15)]
    events = [delta(content="First of all.\n\n")]
    for piece, step in zip(pieces, [*steps, None], strict=True):
        events += [delta(content=piece), *([partial(step.wait, LIMIT_S)] if step else [])]
    turns = [raw(*events, delta(content="\n\nAt last."), delta("stop"))]
    with OpenAIServer(turns) as model, open_terminal(model, bare, XTERM_VERSION="1") as terminal:
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(r"word14\n.* · .*Ctrl\+C stops")
        for step, last, columns in zip(steps, ("word29", "word44"), (50, 100), strict=False):
            terminal.resize(columns, 40)
            step.set()
            terminal.wait_for(rf"{last}\n.* · ")
        steps[2].set()
        terminal.wait_for(r"^At last\.$")
        terminal.wait_for(READY)
        answer = terminal.above_foot[terminal.screen.index("> Go") :]
        assert answer.split() == [">", "Go", "First", "of", "all.", *words, "At", "last.", ">"]


def test_nothing_a_server_or_a_model_sends_can_steer_the_terminal(quick, open_terminal):
    evil = "\x1b]0;owned\x07\x1b[2J\x1b[H\r> do evil\n> do evil\n\u202eesrever"
    turns = [calls(("echo", {"text": evil})), text("\x1b]0;owned\x07", "\x1b[2", "J\x9b2J", "end")]
    with OpenAIServer(turns) as model, open_terminal(model, quick) as terminal:
        terminal.wait_for(READY)
        terminal.type("Try" + ENTER)
        terminal.wait_for("end$")
        screen = terminal.wait_for(READY)
        assert terminal.title == ""
        assert "helper · Helps." in screen  # nothing was cleared
        assert not re.search("^> do evil", screen, re.MULTILINE)
        written = terminal.raw.decode()
        assert "\x1b]0;" not in written
        assert "\u202e" not in written
        assert "\x9b" not in written


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=["NO_COLOR", "dumb"])
def test_without_colours_everything_is_there(quick, open_terminal, env):
    turns = [calls(("refuse", {})), text("Fine.")]
    with OpenAIServer(turns) as model, open_terminal(model, quick, **env) as terminal:
        terminal.wait_for(READY)
        terminal.type("Try" + ENTER)
        screen = terminal.wait_for(r"^Fine\.$")
        assert re.search(r"^(✗ quick\.|▸ )refuse \{\}\n  Error.*does not want to$", screen, re.MULTILINE)
        assert not re.search(rb"\x1b\[(2|3\d|1)m", terminal.raw)
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0


def test_one_prompt_on_a_terminal_shows_the_tools_and_the_answer(quick, open_terminal):
    turns = [calls(("echo", {"text": "one"})), text("Fine.")]
    with OpenAIServer(turns) as model, open_terminal(model, quick, "-p", "Do it") as terminal:
        assert terminal.wait_for_exit() == 0
        assert usual(terminal.screen).splitlines() == ['▸ quick.echo {"text": "one"}', "  one", "Fine."]


def test_ctrl_c_ends_a_single_prompt(bare, open_terminal):
    with OpenAIServer([text("I think", then="stall")]) as model, open_terminal(model, bare, "-p", "x") as terminal:
        terminal.wait_for("^I think$")
        terminal.type(CTRL_C)
        assert terminal.wait_for_exit() == 130
        assert "Traceback" not in terminal.screen


def test_a_secret_is_asked_for_without_showing_it(tmp_path, open_terminal):
    inputs = [{"id": "my-key", "description": "The key", "password": True}, {"id": "city", "description": "Your city"}]
    server = script("quick_server.py", env={"KEY": "${input:my-key}", "CITY": "${input:city}"})
    agent = write_agent(tmp_path, inputs=inputs, servers={"quick": server})
    with OpenAIServer([text("Fine.")]) as model, open_terminal(model, agent, "-p", "x") as terminal:
        terminal.wait_for(r"^The key \(my-key\):")
        terminal.type("sesame42" + ENTER)
        terminal.wait_for(r"^Your city \(city\):")
        terminal.type("Paris" + ENTER)
        assert terminal.wait_for_exit() == 0
        assert "sesame42" not in terminal.raw.decode()
        assert "Paris" in terminal.screen


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_a_question_leaves(tmp_path, open_terminal, signum):
    server = script("quick_server.py", env={"KEY": "${input:key}"})
    agent = write_agent(tmp_path, inputs=[{"id": "key", "password": True}], servers={"quick": server})
    with OpenAIServer([text("Fine.")]) as model, open_terminal(model, agent) as terminal:
        terminal.wait_for(r"^key \(key\):")
        if signum == signal.SIGINT:
            terminal.type(CTRL_C)
        else:
            terminal.signal(signum)
        assert terminal.wait_for_exit() == 128 + signum
        assert "Traceback" not in terminal.screen
        assert terminal.echoes


@linux_only
@pytest.mark.anyio
@pytest.mark.parametrize("how", ["at the prompt", "during an answer"])
@pytest.mark.parametrize("end", ["SIGTERM", "SIGHUP", "the terminal goes away"])
async def test_leaving_cleans_up(tmp_path, open_terminal, how, end):
    mark = Mark()
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py", env=mark.env)})
    with OpenAIServer([text("I think", then="stall")]) as model, open_terminal(model, agent) as terminal:
        terminal.wait_for(READY)
        if how == "during an answer":
            terminal.type("Think" + ENTER)
            terminal.wait_for("^I think$")
        assert mark.pids()
        if end == "the terminal goes away":
            terminal.hang_up()
        else:
            terminal.signal(signal.Signals[end])
            assert terminal.wait_for_exit() == 128 + signal.Signals[end]
            assert "Traceback" not in terminal.screen
            assert terminal.echoes
        await mark.gone()


def test_the_embedded_model_is_introduced_with_what_it_cannot_do(tmp_path):
    pytest.importorskip("xllamacpp")
    agent = write_agent(tmp_path)
    command = [*PROGRAM, "run", agent, "--provider", "local"]
    with Terminal(command, env=environment(tmp_path), cwd=tmp_path) as terminal:
        terminal.wait_for(READY)
        introduction = " ".join(terminal.screen.splitlines())
        assert "model: SmolLM2-135M-Instruct" in introduction
        assert "can't do anything else" in introduction
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
