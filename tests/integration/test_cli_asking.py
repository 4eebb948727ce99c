"""What a server asks during a conversation is asked at the terminal."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.program import PROGRAM, environment, run, script, write_agent

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")]
if sys.platform != "win32":
    from tests.support.terminal import CTRL_C, CTRL_D, ENTER, Terminal

READY = r"^>$"


def agent(folder: Path) -> str:
    return write_agent(folder, servers={"busy": script("busy_server.py")})


def open_terminal(model: OpenAIServer, folder: Path) -> Terminal:
    command = [*PROGRAM, "run", agent(folder), "--base-url", model.url, "--yes"]
    return Terminal(command, env=environment(folder), cwd=folder)


def test_a_form_is_filled_in_between_the_lines_of_a_turn(tmp_path: Path) -> None:
    with (
        OpenAIServer([calls(("ask", {"what": "form"})), text("Noted.")]) as model,
        open_terminal(model, tmp_path) as terminal,
    ):
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(r"^The server busy asks: Which.*color\?$")
        terminal.wait_for(r"^  color:$")
        assert terminal.echoes
        terminal.type("red" + ENTER)
        terminal.wait_for(r"^  size \(default: 3\):$")
        terminal.type(ENTER)
        terminal.wait_for(r"^  Send this to the server\? \[y/N\]$")
        terminal.type("y" + ENTER)
        terminal.wait_for(r"^Noted\.$")
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
    answer = model.chats[1]["messages"][-1]["content"]
    assert json.loads(answer)["content"] == {"color": "red", "size": 3}


def test_ctrl_c_stops_the_turn_and_the_question_with_it(tmp_path: Path) -> None:
    with (
        OpenAIServer([calls(("ask", {"what": "form"})), text("Again.")]) as model,
        open_terminal(model, tmp_path) as terminal,
    ):
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(r"^  color:$")
        terminal.type(CTRL_C)
        terminal.wait_for(r"^Stopped\. Kept:")
        terminal.wait_for(READY)
        terminal.type("Once more" + ENTER)
        terminal.wait_for(r"^Again\.$")
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0


def test_where_nobody_can_be_asked_the_server_is_refused(tmp_path: Path) -> None:
    with OpenAIServer([calls(("ask", {"what": "form"})), text("Well.")]) as model:
        done = run("run", agent(tmp_path), "--base-url", model.url, "--prompt", "Go", cwd=tmp_path)
    assert (done.code, done.out) == (0, "Well.\n")
    answer, note = model.chats[1]["messages"][-1]["content"].split("\n")
    assert json.loads(answer)["action"] == "decline"
    reason = "this answers a single prompt, so nobody can be asked"
    assert json.loads(answer)["_meta"] == {"tiny-agents/reason": reason}
    assert note == f"[MCP server 'busy' asked: 'Which color?'. Not answered: {reason}.]"


def test_servers_are_told_of_the_folders_of_the_command_line(tmp_path: Path) -> None:
    with OpenAIServer([calls(("ask", {"what": "roots"})), text("Well.")]) as model:
        flags = ["--base-url", model.url, "--prompt", "Go", "--root", "."]
        done = run("run", agent(tmp_path), *flags, cwd=tmp_path)
    assert done.code == 0, done.err
    told = json.loads(model.chats[1]["messages"][-1]["content"])
    assert told["roots"] == [{"uri": tmp_path.as_uri(), "name": tmp_path.name}]
