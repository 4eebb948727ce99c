"""`tiny-agents init`: the real program, with flags and at a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, text
from tests.support.program import PROGRAM, environment, run
from tiny_agents.agent.definition.loading import load_definition

pytestmark = [pytest.mark.integration]
if sys.platform != "win32":
    from tests.support.terminal import ENTER, Terminal


def test_an_agent_is_written_from_flags_and_answers_a_prompt(tmp_path: Path) -> None:
    with OpenAIServer([text("Fine.")]) as model:
        flags = ["--description", "Tidies up.", "--base-url", model.url, "--model", "m", "--prompt-file"]
        done = run("init", "my agent", *flags, cwd=tmp_path)
        assert (done.code, done.out) == (0, "my agent/agent.yaml\nmy agent/PROMPT.md\n")
        assert done.last_line == "Talk to it with: tiny-agents run './my agent'"
        assert run("run", "my agent", "-p", "x", cwd=tmp_path).out == "Fine.\n"
        assert model.chats[0]["messages"][0]["content"].startswith("Tidies up.")
    assert run("validate", "my agent", cwd=tmp_path).code == 0


def test_servers_are_named_by_name_command_or_address(tmp_path: Path) -> None:
    servers = ["--server", "time", "--server", "uvx some-server --flag", "--server", "https://mcp.example.com/mcp"]
    assert run("init", "a", "--yes", *servers, cwd=tmp_path).code == 0
    written = {server.name: (server.type, dict(server.params)) for server in load_definition(tmp_path / "a").servers}
    assert written["uvx"] == ("stdio", {"command": "uvx", "args": ("some-server", "--flag")})
    assert written["server"] == ("http", {"url": "https://mcp.example.com/mcp"})
    assert written["time"][1]["command"] == "${python}"


BAD = {
    "a folder that has an agent": (["full"], ["full/agent.json", "nothing is overwritten"]),
    "a prompt that is there": (["half", "--prompt-file"], ["half/PROMPT.md", "nothing is overwritten"]),
    "a file": (["file"], ["is a file"]),
    "a server that is none": (["new", "--server", "nope"], ["'nope'", "files, web"]),
    "a provider that is none": (["new", "--provider", "grok"], ["provider", "'grok'"]),
    "two places": (["new", "--provider", "groq", "--base-url", "http://x/v1"], ["two places"]),
    "no address": (["new", "--base-url", "localhost"], ["endpointUrl"]),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_written_is_one_line_and_leaves_all_as_it_was(tmp_path: Path, case: str) -> None:
    args, words = BAD[case]
    for name in ("full/agent.json", "half/PROMPT.md", "file"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = sorted(path for path in tmp_path.rglob("*"))
    done = run("init", *args, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert all(word in line for word in words)
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "half/PROMPT.md").read_text() == "mine"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_at_a_terminal_it_asks_little(tmp_path: Path) -> None:
    with Terminal([*PROGRAM, "init", "notes"], env=environment(tmp_path), cwd=tmp_path) as terminal:
        for question, answer in (
            (r"Name \[notes\]:", ""),
            ("What is it for", "Tidies up notes."),
            ("Which model", "http://localhost:11434/v1"),
            ("The model's name", "qwen3"),
            ("Which, by name", "time, tme"),
            ("'tme' is none of", "time"),
        ):
            terminal.wait_for(question)
            terminal.type(answer + ENTER)
        terminal.wait_for("Talk to it with: tiny-agents run ./notes")
    written = load_definition(tmp_path / "notes")
    assert (written.name, written.description, written.endpoint_url, written.model) == (
        "notes",
        "Tidies up notes.",
        "http://localhost:11434/v1",
        "qwen3",
    )
    assert [server.name for server in written.servers] == ["time"]
