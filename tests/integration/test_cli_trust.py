"""Agents from the Hub run nothing before the user has agreed to exactly that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.hub_server import HubContent, HubServer
from tests.support.openai_server import OpenAIServer, text
from tests.support.program import PROGRAM, environment, run

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="POSIX shell")]
if sys.platform != "win32":
    from tests.support.terminal import ENTER, Terminal

QUICK = Path(__file__).parent.parent / "support" / "quick_server.py"
BASE = "datasets/tiny-agents/tiny-agents/someone/helper/"


@pytest.fixture
def hub(tmp_path):
    """A Hub with the agent someone/helper, whose server says that it was started by creating a file."""
    code = (
        f"import pathlib, runpy; pathlib.Path('{tmp_path}/ran').touch(); runpy.run_path('{QUICK}', run_name='__main__')"
    )
    server = {
        "type": "stdio",
        "command": sys.executable,
        "args": ["-c", f"import sys; sys.path[:0] = ['{QUICK.parent}']; {code}"],
    }
    definition = {"model": "m", "servers": [server], "inputs": [{"id": "secret", "description": "Never asked for"}]}
    files = {BASE + "agent.json": HubContent(json.dumps(definition).encode(), large=False)}
    with HubServer(files) as hub:
        yield hub


def in_terminal(model: OpenAIServer, hub: HubServer, tmp_path: Path, *flags: str) -> Terminal:
    command = [*PROGRAM, "run", "someone/helper", "--base-url", model.url, "-p", "x", *flags]
    return Terminal(command, env=environment(tmp_path, HF_ENDPOINT=hub.url), cwd=tmp_path, columns=300)


def test_the_whole_command_is_shown_and_a_yes_runs_it(tmp_path, hub):
    with OpenAIServer([text("Fine.")]) as model, in_terminal(model, hub, tmp_path) as terminal:
        screen = terminal.wait_for(r"^Do you trust it\? \[y/N\]")
        assert "The agent someone/helper was downloaded" in screen
        assert f"runs the command: {sys.executable} -c " in screen
        assert "run_name=" in screen.replace("\n", "")  # to its end
        assert not (tmp_path / "ran").exists()
        terminal.type("y" + ENTER)
        assert terminal.wait_for_exit() == 0
        assert terminal.screen.endswith("Fine.")
        assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(("answer", "code"), [("n\r", 1), ("\r", 1), ("yes please\r", 1), ("\x04", 1), ("\x03", 130)])
def test_anything_but_a_yes_runs_nothing(tmp_path, hub, answer, code):
    with OpenAIServer([text("Fine.")]) as model, in_terminal(model, hub, tmp_path) as terminal:
        terminal.wait_for(r"^Do you trust it\? \[y/N\]")
        terminal.type(answer)
        assert terminal.wait_for_exit() == code
        assert model.chats == []
    assert not (tmp_path / "ran").exists()


def test_where_nobody_can_be_asked_it_is_refused_unless_trusted(tmp_path, hub):
    with OpenAIServer([text("Fine.")]) as model:
        args = ["run", "someone/helper", "--base-url", model.url, "-p", "x"]
        done = run(*args, cwd=tmp_path, HF_ENDPOINT=hub.url)
        assert (done.code, done.out) == (2, "")
        assert "runs the command: " in done.err
        assert "--trust" in done.last_line
        assert not (tmp_path / "ran").exists()
        done = run(*args, "--trust", cwd=tmp_path, HF_ENDPOINT=hub.url)
        assert (done.code, done.out) == (0, "Fine.\n")
        assert (tmp_path / "ran").exists()
        assert "Do you trust" not in done.err


def test_an_agent_of_ones_own_is_not_asked_about(tmp_path):
    (tmp_path / "agent.json").write_text(json.dumps({"model": "m", "servers": []}))
    with OpenAIServer([text("Fine.")]) as model:
        done = run("run", ".", "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "Fine.\n", "")
