"""Slash commands in a conversation, typed at a terminal."""

from __future__ import annotations

import json
import re
import sys

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw, text
from tests.support.processes import linux_only
from tests.support.program import PROGRAM, environment, run, script, write_agent

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")]
if sys.platform != "win32":
    from tests.support.terminal import CTRL_C, ENTER, TAB, Terminal

READY = r"^>$"


class Typist:
    """Types lines, each when the prompt is there, and gives what came of it."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.wait_for(READY)

    def __call__(self, line: str) -> str:
        self.terminal.clear()
        self.terminal.type(line + ENTER)
        return self.terminal.wait_for(rf"^> {re.escape(line)}$[\s\S]*^>$")


def test_the_commands_of_a_conversation(tmp_path):
    def respond(request: Recorded) -> Turn:
        last = request.body["messages"][-1]
        if last["role"] == "tool":
            return raw(delta(reasoning="It is long."), delta(content="Done."), delta("stop"))
        return (
            calls(("echo", {"text": "\n".join(f"line {n}" for n in range(30))}))
            if last["content"] == "Go"
            else text("Hm.")
        )

    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py", str(tmp_path / "waiting"))})
    with OpenAIServer(respond) as model:
        command = [*PROGRAM, "run", agent, "--base-url", model.url, "--yes"]
        with Terminal(command, env=environment(tmp_path), cwd=tmp_path, lines=60) as terminal:
            do = Typist(terminal)
            assert "quick: up, 4 tools" in do("/servers")
            assert "quick.echo" in do("/tools")
            assert '"with_pid"' in do("/tools quick.echo")
            assert "did you mean /tools?" in do("/toolz")
            assert "at character 9" in do('/call quick.echo {"text" 1}')
            assert '▸ quick.echo {"text": "a"}\n  a' in do('/call quick.echo {"text": "a"}')
            assert not model.chats  # nothing of this is the model's business
            screen = do("Go")
            assert "more characters of 229: /show 2" in screen
            assert "Thought for " in screen
            assert "line 29" in do("/show")
            assert "It is long." in do("/reasoning")
            assert "2 model calls" in do("/usage")
            assert "tool_calls: 7" in do("/limits tool_calls=7")
            do("/system Be brief.")
            assert "The model is other." in do("/model other")
            do("//help")
            assert model.chats[-1]["messages"][-1]["content"] == "/help"
            assert model.chats[-1]["messages"][0]["content"] == "Be brief."
            assert model.chats[-1]["model"] == "other"
            do("/retry")
            assert model.chats[-1]["messages"] == model.chats[-2]["messages"]
            terminal.clear()
            terminal.type("/undo" + ENTER)
            terminal.wait_for(r"^> /help$")  # the text is back, to be changed
            terminal.type(CTRL_C)
            terminal.wait_for(READY)
            assert "Written: talk.json (5 messages)" in do("/export talk.json")
            assert len(json.loads((tmp_path / "talk.json").read_text())["messages"]) == 5
            assert "is there already" in do("/export talk.json")
            assert "--resume" in do("/save")
            before = do("/sessions").split()
            assert "This is a copy" in do("/fork")
            do("/clear")
            do("And now?")
            assert [message["content"] for message in model.chats[-1]["messages"]] == ["Be brief.", "And now?"]
            resumable = next(word for word in before if len(word) == 12 and word.isalnum())
            assert "> Go" in do(f"/resume {resumable}")
            terminal.type("/quit" + ENTER)
            assert terminal.wait_for_exit() == 0


@linux_only
def test_ctrl_c_stops_a_command(tmp_path):
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py", str(tmp_path / "waiting"))})
    with OpenAIServer([text("Hm.")]) as model:
        command = [*PROGRAM, "run", agent, "--base-url", model.url, "--yes"]
        with Terminal(command, env=environment(tmp_path), cwd=tmp_path) as terminal:
            do = Typist(terminal)
            terminal.clear()
            terminal.type("/call quick.wait" + ENTER)
            terminal.wait_for(r"^▸ quick\.wait \{\}$")
            terminal.type(CTRL_C)
            terminal.wait_for(r"^Stopped\.$")
            terminal.wait_for(READY)
            assert "▸ quick.echo" in do('/call echo {"text": "still here"}')


def test_what_a_prompt_attaches_completes_and_pastes(tmp_path):
    (tmp_path / "notes.txt").write_text("Buy milk.")
    (tmp_path / "pic.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "editor").write_text("#!/bin/sh\nprintf 'Written elsewhere.' > \"$1\"\n")
    (tmp_path / "editor").chmod(0o700)
    agent = write_agent(tmp_path)
    with OpenAIServer([text("Fine.")]) as model:
        command = [*PROGRAM, "run", agent, "--base-url", model.url]
        env = environment(tmp_path, EDITOR=str(tmp_path / "editor"), VISUAL="")
        with Terminal(command, env=env, cwd=tmp_path) as terminal:
            terminal.wait_for(READY)
            terminal.type("See @gone.txt" + ENTER)
            terminal.wait_for(r"^error: there is no file gone\.txt: nothing was sent")
            terminal.wait_for(r"^> See @gone\.txt$", times=2)  # there again, to be changed
            assert not model.chats
            terminal.type("\x15See @not")
            terminal.wait_for(r"^> See @not\n +notes\.txt$")  # a Tab counts once these are for all that was typed
            terminal.type(TAB)
            terminal.wait_for(r"^> See @notes\.txt$")
            terminal.type(" and @pic.png" + ENTER)
            terminal.wait_for(r"^Attached: File pic\.png, 8 bytes$")
            terminal.wait_for(r"^Fine\.$")
            said, image = model.chats[-1]["messages"][-1]["content"]
            assert said["text"] == "See @notes.txt and @pic.png\n\n[File notes.txt]\nBuy milk."
            assert image["image_url"]["url"].startswith("data:image/png;base64,")
            terminal.wait_for(READY)
            terminal.type("\x1b[200~" + "line of text\n" * 80_000 + "\x1b[201~")
            terminal.wait_for(r"^> \[pasted [0-9a-f]{8}: 1,040,000 characters\]$")
            terminal.type(ENTER)
            terminal.wait_for(r"^Fine\.$", times=2)
            assert model.chats[-1]["messages"][-1]["content"] == "line of text\n" * 80_000
            terminal.wait_for(READY)
            terminal.type("\x18\x05")  # Ctrl+X Ctrl+E edits and sends, as in a shell
            terminal.wait_for(r"^> Written elsewhere\.$")
            terminal.wait_for(r"^Fine\.$", times=3)
            assert model.chats[-1]["messages"][-1]["content"] == "Written elsewhere."
            terminal.wait_for(READY)
            terminal.type("/mod")
            terminal.wait_for(r"^> /mod\n +model +which model answers")
            terminal.type(TAB)
            terminal.wait_for(r"^> /model$")


def test_a_definition_that_changes_is_taken_up_without_losing_the_conversation(tmp_path):
    servers = {"quick": script("quick_server.py", str(tmp_path / "waiting"))}
    agent = write_agent(tmp_path, prompt="Be brief.", servers=servers)
    with OpenAIServer([text("Hm.")]) as model:
        command = [*PROGRAM, "run", agent, "--base-url", model.url, "--yes"]
        with Terminal(command, env=environment(tmp_path), cwd=tmp_path, lines=60) as terminal:
            do = Typist(terminal)
            do("First")
            write_agent(tmp_path, prompt="Be kind.", model="other", servers=servers | {"second": servers["quick"]})
            assert "The agent's definition has changed: /reload takes it up." in do("/save")
            assert "has changed" not in do("/save")  # said once
            assert "the conversation goes on" in do("/reload")
            assert "second: up, 4 tools" in do("/servers")
            do("Second")
            sent = model.chats[-1]
            assert sent["model"] == "other"
            assert [message["content"] for message in sent["messages"]] == ["Be kind.", "First", "Hm.", "Second"]
            (tmp_path / "helper.yaml").write_text("model: m\nservres: {}\n")
            do("/save")
            assert "servres" in do("/reload")  # told, with what was probably meant
            assert "second: up, 4 tools" in do("/servers")
            do("Third")
            assert len(model.chats[-1]["messages"]) == 6
            terminal.clear()
            terminal.type("/undo" + ENTER)
            terminal.wait_for(r"^> Third$")
            terminal.type(CTRL_C)
            terminal.wait_for(READY)
            terminal.type("/quit" + ENTER)
            assert terminal.wait_for_exit() == 0
            saved = re.search(r"--resume (\w+)", terminal.raw.decode())
    assert saved is not None
    shown = run("sessions", "show", saved[1], cwd=tmp_path).out
    assert "First" in shown
    assert "Second" in shown
    assert "Third" not in shown


def test_a_reload_asks_what_a_start_would_ask_and_can_be_stopped_there(tmp_path):
    agent = write_agent(tmp_path)
    with OpenAIServer([text("Hm.")]) as model:
        command = [*PROGRAM, "run", agent, "--base-url", model.url]
        with Terminal(command, env=environment(tmp_path), cwd=tmp_path, lines=60) as terminal:
            do = Typist(terminal)
            wanted = {"id": "word", "type": "promptString", "description": "The word"}
            servers = {"quick": {**script("quick_server.py", "x"), "env": {"WORD": "${input:word}"}}}
            write_agent(tmp_path, inputs=[wanted], servers=servers)
            do("/save")
            terminal.clear()
            terminal.type("/reload" + ENTER)
            terminal.wait_for(r"The word")
            terminal.type(CTRL_C)
            terminal.wait_for(r"^Stopped\.$")
            terminal.wait_for(READY)
            terminal.clear()
            terminal.type("/reload" + ENTER)
            terminal.wait_for(r"The word")
            terminal.type("milk" + ENTER)
            terminal.wait_for(r"the conversation goes on")
            terminal.wait_for(READY)
            assert "quick: up, 4 tools" in do("/servers")
            assert "Hm." in do("Still here?")
