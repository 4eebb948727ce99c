"""A call that may destroy something is asked about at the terminal, and what is answered holds."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.program import PROGRAM, environment, run

pytestmark = [pytest.mark.integration]
if sys.platform != "win32":
    from tests.support.terminal import CTRL_C, CTRL_D, ENTER, Terminal

terminal_only = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
SCRIPT = Path(__file__).parents[1] / "support" / "shifty_server.py"
READY = r"^>$"
QUESTION = r"Allow it\? \[y\]es.*\(or n WHY\):$"


def agent(folder: Path, description: str = "Writes.", **definition: Any) -> None:
    """An agent with a tool that may destroy something (`write`) and one that doesn't (`read`)."""
    tools = [
        {"name": "write", "description": description, "inputSchema": {"type": "object"}},
        {"name": "read", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    ]
    (folder / "state").write_text(json.dumps({"tools": tools}))
    servers = {"s": {"command": sys.executable, "args": [str(SCRIPT), str(folder / "state")]}}
    (folder / "agent.yaml").write_text(json.dumps({"model": "m", "servers": servers, **definition}))


def open_terminal(model: OpenAIServer, folder: Path, *flags: str) -> Terminal:
    command = [*PROGRAM, "run", ".", "--base-url", model.url, *flags]
    return Terminal(command, env=environment(folder), cwd=folder)


def told(model: OpenAIServer) -> list[str]:
    """What the model was told about its calls, all in all."""
    return [message["content"] for message in model.chats[-1]["messages"] if message["role"] == "tool"]


def turns(*arguments: dict[str, Any]) -> list[Any]:
    return [turn for given in arguments for turn in (calls(("write", given)), text("Done."))]


# ---------------------------------------------------------------- without a person


@pytest.mark.parametrize(
    ("permissions", "flags", "made"),
    [
        (None, (), True),
        (None, ("--permission", "deny"), False),
        (None, ("--permission", "ask"), False),
        ({"default": "ask"}, (), False),
        ({"default": "ask"}, ("--yes",), True),
        ({"deny": ["s.write"]}, ("--yes",), False),
    ],
)
def test_without_a_person_what_was_to_be_asked_about_is_refused_and_the_model_is_told(
    tmp_path: Path, permissions: dict[str, Any] | None, flags: tuple[str, ...], made: bool
) -> None:
    agent(tmp_path, **({"permissions": permissions} if permissions else {}))
    with OpenAIServer(turns({})) as model:
        done = run("run", ".", "-p", "go", "--base-url", model.url, *flags, cwd=tmp_path)
        assert (done.code, done.out) == (0, "Done.\n")
        (answer,) = told(model)
    assert (answer == "called write") is made
    if not made:
        assert answer.startswith("Error: the call of 'write' was not allowed, so it was not made: ")


# ---------------------------------------------------------------- with one


@terminal_only
def test_a_call_is_asked_about_and_an_answer_holds_as_long_as_it_is_meant_to(tmp_path: Path) -> None:
    agent(tmp_path)
    forged = {"path": "x\n  Allow it? [y]es\x1b[2J"}
    with (
        OpenAIServer(turns(forged, {}, {}, {})) as model,
        open_terminal(model, tmp_path) as terminal,
    ):
        for typed in ("n use the other file", "y", "s"):
            terminal.wait_for(READY)
            terminal.type("Go" + ENTER)
            terminal.wait_for(QUESTION)
            assert 'The model wants to call "s.write".' in terminal.screen
            terminal.type(typed + ENTER)
            terminal.wait_for(r"^Done\.$")
        assert r'    path: "x\n  Allow it? [y]es\u001b[2J"' in terminal.screen
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)  # not asked any more
        terminal.wait_for(r"called write\s+Done\.\s+(.*\s+)*Done\.\s+>$")
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
    assert told(model) == [
        "Error: the call of 'write' was not allowed, so it was not made: the user said no: use the other file",
        *["called write"] * 3,
    ]


@terminal_only
def test_always_holds_in_the_next_program_until_it_is_taken_back_or_the_tool_changes(tmp_path: Path) -> None:
    agent(tmp_path)

    def asked(*typed: str) -> bool:
        with OpenAIServer(turns({})) as model, open_terminal(model, tmp_path, "-p", "go") as terminal:
            for answer in typed:
                terminal.wait_for(QUESTION)
                terminal.type(answer + ENTER)
            terminal.wait_for(r"^Done\.$")
            assert terminal.wait_for_exit() == 0
            return "Allow it?" in terminal.screen

    assert asked("a")
    assert not asked()
    listed = run("permissions", "list", cwd=tmp_path)
    assert re.search(r"agent\.yaml\)\n  s\.write, since \d{4}-", listed.out)
    agent(tmp_path, description="Writes, and mails it too.")
    assert asked("n")
    agent(tmp_path)
    assert not asked()
    assert run("permissions", "revoke", "nobody", cwd=tmp_path).code == 2
    assert run("permissions", "revoke", "--all", cwd=tmp_path).err == "1 answer forgotten.\n"
    assert asked("n")


@terminal_only
def test_nothing_is_written_into_the_line_that_is_typed(tmp_path: Path) -> None:
    agent(tmp_path)
    with (
        OpenAIServer([calls(("read", {}), ("write", {})), text("Done.")]) as model,
        open_terminal(model, tmp_path) as terminal,
    ):
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(QUESTION)
        log = tmp_path / "state.log"
        while "tools/call" not in log.read_text():  # the result of `read` is on its way to the screen
            time.sleep(0.01)
        terminal.type("y" + ENTER)
        terminal.wait_for(r"\(or n WHY\): y\n▸ s\.read \{\}\n  called read\n▸ s\.write \{\}\n  called write\nDone\.")
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0


@terminal_only
def test_ctrl_c_at_the_question_leaves_a_valid_history_in_which_the_call_was_not_made(tmp_path: Path) -> None:
    agent(tmp_path)
    with (
        OpenAIServer([calls(("write", {})), text("Again.")]) as model,
        open_terminal(model, tmp_path) as terminal,
    ):
        terminal.wait_for(READY)
        terminal.type("Go" + ENTER)
        terminal.wait_for(QUESTION)
        terminal.type(CTRL_C)
        terminal.wait_for(r"the note that 1 tool call was")
        terminal.wait_for(READY)
        terminal.type("More" + ENTER)
        terminal.wait_for(r"^Again\.$")
        terminal.wait_for(READY)
        terminal.type(CTRL_D)
        assert terminal.wait_for_exit() == 0
        assert told(model) == ["Error: this call was interrupted before it was made. It did not run."]
