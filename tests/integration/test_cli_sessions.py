"""Saved conversations on the command line: the real program, a scripted model, a file in a folder of its own."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.program import PROGRAM, Done, environment, run, script, write_agent
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.cli import main
from tiny_agents.cli.arguments import parse
from tiny_agents.cli.saving import is_wanted
from tiny_agents.errors import UsageError

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")]


def model_that_counts(request: Recorded) -> Turn:
    """Says what it was told, and how many messages there are."""
    messages = request.body["messages"]
    return text(f"{messages[-1]['content']}: {len(messages)}")


@pytest.fixture
def bare(tmp_path):
    return write_agent(tmp_path)


def database(folder: Path) -> SessionDatabase:
    return SessionDatabase(folder / "data" / "tiny-agents" / "sessions" / "sessions.db")


def sessions(*args: str, cwd: Path) -> Done:
    """`tiny-agents sessions ...`, in this process: starting one for each would take most of the time."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("XDG_DATA_HOME", str(cwd / "data"))
        patch.chdir(cwd)
        patch.setattr(sys, "stdin", io.StringIO())
        code = main(["sessions", *args])
    return Done(code, out.getvalue(), err.getvalue())


def ids(cwd: Path) -> list[str]:
    with database(cwd) as saved:
        return [info.id for info in saved.list()]


def test_a_prompt_goes_on_with_the_last_conversation_or_with_a_named_one(tmp_path, bare):
    with OpenAIServer(model_that_counts) as model:
        flags = ("--base-url", model.url)
        assert run("run", bare, *flags, "-p", "one", cwd=tmp_path).out == "one: 2\n"
        assert run("run", bare, *flags, "-p", "other", cwd=tmp_path).out == "other: 2\n"
        # Neither agent nor model have to be named again.
        done = run("run", "--continue", "-p", "more", cwd=tmp_path)
        assert (done.code, done.out, done.err) == (0, "more: 4\n", "")
        other, first = ids(tmp_path)
        assert run("run", "--resume", first[:6], "-p", "two", cwd=tmp_path).out == "two: 4\n"
        assert run("run", bare, "-c", "-p", "three", cwd=tmp_path).out == "three: 6\n"
        assert ids(tmp_path) == [first, other]
        (tmp_path / "elsewhere").mkdir()
        unknown = run("run", "clock", *flags, "-c", "-p", "x", cwd=tmp_path)
        assert unknown.code == 2
        assert "no conversation with the agent clock is saved" in unknown.err


def test_what_changed_since_is_said(tmp_path):
    with OpenAIServer(model_that_counts) as model:
        agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")})
        run("run", agent, "--base-url", model.url, "-p", "one", cwd=tmp_path)
        write_agent(
            tmp_path, prompt="Be brief.", servers={"quick": {**script("quick_server.py"), "tools": {"deny": ["e*"]}}}
        )
        done = run("run", "--resume", "last", "--base-url", model.url, "--model", "n", "-p", "two", cwd=tmp_path)
        assert done.err.splitlines() == [
            "The agent's definition has changed since; it holds as it is now.",
            f"The model was m at {model.url}, now it is n at {model.url}.",
            "Tools that are gone since: echo.",
        ]
        assert [message["content"] for message in model.chats[-1]["messages"]] == ["Be brief.", "one", "one: 2", "two"]
        Path(agent).unlink()
        gone = run("run", "--continue", "-p", "three", cwd=tmp_path)
        assert gone.code == 2
        assert "isn't there any more: name one before --resume" in gone.err


def test_saving_can_be_switched_off(tmp_path, bare):
    with OpenAIServer(model_that_counts) as model:
        assert run("run", bare, "--base-url", model.url, "-p", "one", "--no-session", cwd=tmp_path).out == "one: 2\n"
    assert not (tmp_path / "data" / "tiny-agents" / "sessions").exists()


@pytest.mark.parametrize(
    ("flags", "variable", "key", "saved"),
    [
        ([], None, None, True),
        ([], "", None, True),
        (["--no-session"], "on", True, False),
        ([], "off", None, False),
        ([], "OFF", True, False),
        ([], None, False, False),
        ([], "on", False, True),
        (["--continue"], "off", False, True),
        (["--resume", "x"], "0", False, True),
    ],
)
def test_flags_come_before_the_environment_and_that_before_the_definition(flags, variable, key, saved):
    env = {} if variable is None else {"TINY_AGENTS_SESSIONS": variable}
    definition = AgentDefinition(name="a", sessions=key)
    assert is_wanted(parse(["run", "a", *flags]), definition, env) == saved


def test_a_switch_that_is_neither_is_an_error():
    with pytest.raises(UsageError, match="TINY_AGENTS_SESSIONS must be on or off, but is 'maybe'"):
        is_wanted(parse(["run", "a"]), AgentDefinition(name="a"), {"TINY_AGENTS_SESSIONS": "maybe"})


@pytest.mark.parametrize("make", ["damaged", "nowhere"])
def test_a_conversation_that_can_not_be_saved_goes_on(tmp_path, bare, make):
    file = tmp_path / "data" / "tiny-agents" / "sessions" / "sessions.db"
    if make == "damaged":
        file.parent.mkdir(parents=True)
        file.write_bytes(b"no database" * 1000)
    else:
        (tmp_path / "data").write_text("a file, no folder")
    with OpenAIServer(model_that_counts) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "one", cwd=tmp_path)
        assert (done.code, done.out) == (0, "one: 2\n")
        warnings = [line for line in done.err.splitlines() if "not being saved" in line]
        assert len(warnings) == 1, done.err
        assert warnings[0].startswith(f"warning: {tmp_path}")
        resumed = run("run", "--continue", "-p", "two", cwd=tmp_path)
        assert resumed.code == 1
        assert str(tmp_path) in resumed.last_line


def test_no_key_is_saved_and_nothing_of_a_secret_input(tmp_path):
    agent = write_agent(
        tmp_path,
        apiKey="${env:MY_KEY}",
        inputs=[{"id": "pin", "password": True}],
        servers={"quick": script("quick_server.py", env={"PIN": "${input:pin}"})},
    )
    turns = [calls(("echo", {"text": "the pin is 2468-1357 and the key zyxwvu-key"})), text("2468-1357, zyxwvu-key")]
    with OpenAIServer(turns) as model:
        env = {"MY_KEY": "zyxwvu-key", "PIN": "2468-1357"}
        url = model.url.replace("http://", "http://me:hunter22@")
        definition = json.loads(Path(agent).read_text())
        Path(agent).write_text(json.dumps({**definition, "endpointUrl": url}))
        done = run("run", agent, "-p", "Say 2468-1357", cwd=tmp_path, **env)
        assert done.code == 0, done.err
    content = b"".join(file.read_bytes() for file in (tmp_path / "data").rglob("*") if file.is_file())
    assert b"the pin is ***" in content
    for secret in (b"2468-1357", b"zyxwvu-key", b"hunter22"):
        assert secret not in content


@pytest.fixture(scope="module")
def filled_once(tmp_path_factory):
    """A folder with one conversation: a tool call, escape sequences in what was said, and two requests."""
    tmp_path = tmp_path_factory.mktemp("filled")
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")})
    turns = [calls(("echo", {"text": "\x1b]0;title\x07 tool"})), text("\x1b[31mred\u202e"), text("Second.")]
    with OpenAIServer(turns) as model:
        run("run", agent, "--base-url", model.url, "-p", "Say \x1b[1m something", cwd=tmp_path)
        run("run", "--continue", "-p", "Again", cwd=tmp_path)
    return tmp_path


@pytest.fixture
def filled(filled_once, tmp_path):
    shutil.copytree(filled_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_saved_conversations_are_listed_searched_and_shown_without_speaking_to_the_terminal(filled):
    (session_id,) = ids(filled)
    listed = sessions(cwd=filled)
    assert listed.out == f"{session_id}  Say ␛[1m something  (helper, 7 messages, just now)\n"
    assert sessions("list", "--agent", "clock", cwd=filled).out == "No conversation is saved with this agent.\n"
    found = sessions("search", "RED", cwd=filled)
    assert found.out.splitlines() == [listed.out.rstrip("\n"), "    assistant (5): ␛[31mred⟨U+202E⟩"]
    assert sessions("search", "nothing", "such", cwd=filled).out == "Nothing was found.\n"
    shown = sessions("show", session_id[:4], cwd=filled)
    assert "2. user\n  Say ␛[1m something\n" in shown.out
    assert '3. assistant\n  ▸ echo {"text": "' in shown.out
    assert "4. result of echo\n  ␛]0;title␇ tool\n" in shown.out
    assert "\x1b" not in listed.out + found.out + shown.out


def test_a_conversation_is_exported_imported_forked_rewound_and_deleted(filled):
    (session_id,) = ids(filled)
    out = sessions("export", "last", "-o", "saved.json", cwd=filled)
    assert (out.code, out.out) == (0, "")
    assert (filled / "saved.json").stat().st_mode & 0o777 == 0o600
    again = sessions("export", "last", "-o", "saved.json", cwd=filled)
    assert (again.code, again.last_line) == (2, "error: saved.json is there already: name another file")
    data = json.loads((filled / "saved.json").read_text())
    assert [message["role"] for message in data["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip
    page = sessions("export", "last", "--format", "markdown", cwd=filled).out
    assert page.startswith("# Say \x1b[1m something\n"), "into a file or a pipe it is written to the letter"
    rewound = sessions("rewind", "last", cwd=filled)
    assert rewound.out == f"{session_id}: dropped the last 2 messages, kept aside for 'export --all'.\n"
    aside = json.loads(sessions("export", "last", "--all", cwd=filled).out)["kept_aside"]
    assert [each["message"]["content"] for each in aside] == ["Again", "Second."]
    fork = sessions("fork", session_id, "--at", "3", cwd=filled)
    fork_id = fork.out.split()[0]
    assert fork.out == f"{fork_id} has 4 messages. Go on with: tiny-agents run --resume {fork_id}\n"
    taken = sessions("import", "saved.json", cwd=filled).out.split()[0]
    assert set(ids(filled)) == {session_id, fork_id, taken}
    asked = sessions("delete", "--all", cwd=filled)
    assert (asked.code, asked.last_line) == (2, "error: nobody can be asked here whether to delete these: add --yes")
    assert sessions("delete", session_id[:5], fork_id, cwd=filled).out == f"Deleted {session_id}, {fork_id}.\n"
    assert sessions("delete", "--older-than", "1d", "-y", cwd=filled).out == "There is nothing to delete.\n"
    assert sessions("delete", "--all", "--yes", cwd=filled).code == 0
    assert sessions(cwd=filled).out == "No conversation is saved.\n"


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("show", "zz"), "there is no session 'zz': 'tiny-agents sessions list' shows those there are"),
        (("show", "last"), "no conversation has been saved yet"),
        (("delete",), "say which: ids, --older-than AGE, or --all"),
        (("delete", "--all", "--older-than", "1d"), "say which: ids, --older-than AGE, or --all"),
        (("import", "nowhere.json"), "nowhere.json: No such file or directory"),
        (("delete", "--older-than", "soon"), "write it as a number and h, d or w: 12h, 30d, 2w"),
        (("fork", "x", "--at", "0"), "must be a number, at least 1"),
    ],
)
def test_what_makes_no_sense_is_one_line(tmp_path, args, problem):
    done = sessions(*args, cwd=tmp_path)
    assert done.code == 2
    assert problem in done.err


def test_a_session_that_is_open_elsewhere_is_refused_with_a_way_on(filled):
    (session_id,) = ids(filled)
    with database(filled) as holder:
        holder.open(session_id)
        done = run("run", "--continue", "-p", "x", cwd=filled)
        assert done.code == 1
        assert done.last_line.startswith(
            f"error: session {session_id} is open in another process (number {os.getpid()})"
        )
        assert f"'tiny-agents sessions fork {session_id}'" in done.last_line
        assert sessions("delete", "last", cwd=filled).code == 1


def test_a_conversation_in_a_terminal_says_how_to_come_back_and_where_it_was_left(tmp_path, bare):
    from tests.support.terminal import CTRL_D, ENTER, Terminal

    with OpenAIServer(model_that_counts) as model:
        env = environment(tmp_path)
        with Terminal([*PROGRAM, "run", bare, "--base-url", model.url], env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("^>$")
            terminal.type("hello" + ENTER)
            terminal.wait_for("^hello: 2$")
            terminal.wait_for("^>$")
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
            (session_id,) = ids(tmp_path)
            assert terminal.screen.endswith(
                f"\nCome back to this conversation with: tiny-agents run --resume {session_id}"
            )
        with Terminal([*PROGRAM, "run", "--resume", session_id], env=env, cwd=tmp_path) as terminal:
            screen = terminal.wait_for("^>$")
            assert f"Session {session_id}: hello (3 messages, just now)\n> hello\nhello: 2\n" in screen
            terminal.type("more" + ENTER)
            terminal.wait_for("^more: 4$")
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
        with Terminal([*PROGRAM, "run", bare, "--base-url", model.url], env=env, cwd=tmp_path) as terminal:
            terminal.wait_for("^>$")
            terminal.type(CTRL_D)
            assert terminal.wait_for_exit() == 0
            assert "Come back" not in terminal.screen, "nothing was said"
    assert len(ids(tmp_path)) == 1
