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
    files = {
        BASE + "agent.json": HubContent(json.dumps(definition).encode(), large=False),
        BASE + "notes.txt": HubContent(b"notes", large=False),
    }
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
        assert "(revision 0123456789ab, 2 files in " in screen
        assert "Its files: agent.json, notes.txt" in screen
        terminal.type("y" + ENTER)
        assert terminal.wait_for_exit() == 0
        assert (
            "Remembered until it changes; `tiny-agents trust revoke someone/helper` takes it back." in terminal.screen
        )
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


def test_the_answer_holds_without_a_terminal_until_something_changes(tmp_path, hub):
    env = {"HF_ENDPOINT": hub.url}
    with OpenAIServer([text("Fine.")] * 4) as model:
        args = ["run", "someone/helper", "--base-url", model.url, "-p", "x"]
        added = run("trust", "add", "someone/helper", "--yes", cwd=tmp_path, **env)
        assert (added.code, added.last_line) == (
            0,
            "someone/helper is trusted as it is now (revision 0123456789ab).",
        )
        listed = run("trust", "list", cwd=tmp_path, **env)
        assert listed.out.startswith(f"someone/helper at {hub.url}\n")
        assert "  runs the command: " in listed.out

        done = run(*args, cwd=tmp_path, **env)
        assert (done.code, done.out, done.err.count("trust")) == (0, "Fine.\n", 0)
        hub.revisions["main"] = "f" * 40
        assert run(*args, cwd=tmp_path, **env).code == 0, "another revision with the same files"

        hub.files[BASE + "notes.txt"] = HubContent(b"other notes", large=False)
        hub.revisions["main"] = "e" * 40
        (tmp_path / "ran").unlink()
        done = run(*args, cwd=tmp_path, **env)
        assert done.code == 2
        assert "at revision 0123456789ab. Since then:\n  changed: notes.txt\n" in done.err
        assert "has changed since it was trusted, and nobody can be asked here" in done.last_line
        assert not (tmp_path / "ran").exists()

        near = run("trust", "revoke", "someone/helpr", cwd=tmp_path, **env)
        assert (near.code, "did you mean 'someone/helper'?" in near.last_line) == (2, True)
        assert run("trust", "revoke", "someone/helper", cwd=tmp_path, **env).last_line == "1 answer forgotten."
        assert json.loads((tmp_path / "data/tiny-agents/trusted-agents.json").read_text())["agents"] == []


def test_a_changed_command_is_shown_beside_the_old_one_and_asked_about(tmp_path, hub):
    run("trust", "add", "someone/helper", "--yes", cwd=tmp_path, HF_ENDPOINT=hub.url)
    definition = {"model": "m", "servers": [{"type": "http", "url": "http://evil.example/mcp"}]}
    hub.files[BASE + "agent.json"] = HubContent(json.dumps(definition).encode(), large=False)
    hub.revisions["main"] = "e" * 40
    with OpenAIServer([text("Fine.")]) as model, in_terminal(model, hub, tmp_path) as terminal:
        screen = terminal.wait_for(r"^Do you trust it\? \[y/N\]")
        assert "  + connects to: http://evil.example/mcp" in screen
        assert f"  - runs the command: {sys.executable} -c " in screen
        assert "  changed: agent.json" in screen
        terminal.type("n" + ENTER)
        assert terminal.wait_for_exit() == 1
    assert "evil" not in run("trust", "list", cwd=tmp_path, HF_ENDPOINT=hub.url).out


def test_an_agent_of_ones_own_is_not_asked_about(tmp_path):
    (tmp_path / "agent.json").write_text(json.dumps({"model": "m", "servers": []}))
    with OpenAIServer([text("Fine.")]) as model:
        done = run("run", ".", "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "Fine.\n", "")


def test_a_downloaded_agent_that_is_a_tool_of_ones_own_is_asked_about_too(tmp_path, hub):
    (tmp_path / "mine.yaml").write_text("model: m\ntools: {agents: [{agent: someone/helper, name: helper}]}", "utf-8")
    with OpenAIServer([text("Fine.")]) as model:
        flags = ["--base-url", model.url, "-p", "x"]
        refused = run("run", "mine.yaml", *flags, cwd=tmp_path, HF_ENDPOINT=hub.url)
        assert refused.code == 2
        assert "the agent someone/helper was downloaded, and nobody can be asked here" in refused.last_line
        assert model.chats == []
        trusted = run("run", "mine.yaml", *flags, "--trust", cwd=tmp_path, HF_ENDPOINT=hub.url)
        assert (trusted.code, trusted.out) == (0, "Fine.\n")
    assert not (tmp_path / "ran").exists()  # its servers start with its first task
