"""`tiny-agents tools` and `call`: the real program, real servers, no model."""

from __future__ import annotations

import json
import shlex
import sys

import pytest

from tests.support.program import SUPPORT, run, script, write_agent

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform == "win32", reason="command lines in POSIX form"),
]

QUICK = shlex.join([sys.executable, str(SUPPORT / "quick_server.py")])
SDK = shlex.join([sys.executable, str(SUPPORT / "mcp_server.py"), "stdio"])


@pytest.fixture
def agent(tmp_path):
    """Two servers that work and one that doesn't; needs a model's key that nobody gives."""
    servers = {
        "one": script("quick_server.py"),
        "two": script("quick_server.py"),
        "bad": script("bad_server.py", "exits_at_start"),
    }
    return write_agent(tmp_path, servers=servers, apiKey="${env:NO_SUCH_KEY}")


def test_tools_shows_each_tool_with_its_arguments(tmp_path):
    done = run("tools", SDK, cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    first, tool, about, *arguments = done.out.splitlines()
    assert first.endswith(" tools")
    assert (tool, about, arguments[:2]) == (
        "  add",
        "    Add two numbers.",
        ["    a (integer, required)", "    b (integer, required)"],
    )


def test_tools_as_json_has_the_whole_schema_and_a_server_that_fails_is_an_error(tmp_path, agent):
    done = run("tools", agent, "--json", cwd=tmp_path)
    servers = json.loads(done.out)
    assert (done.code, [each["server"] for each in servers]) == (1, ["one", "two"])
    echo = servers[1]["tools"][0]
    assert (echo["name"], echo["model_name"]) == ("echo", "two__echo")
    assert echo["parameters"]["properties"] == {"text": {"type": "string"}, "with_pid": {"type": "boolean"}}
    assert done.err.startswith("error: ")
    assert "'bad'" in done.err


def test_of_an_agent_only_the_server_that_is_named_is_started(tmp_path, agent):
    done = run("call", agent, "two.echo", '{"text": "a"}', cwd=tmp_path)
    assert (done.code, done.out, done.err) == (0, "a\n", "")
    done = run("call", agent, "echo", "text=a", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "write one.echo or two.echo" in done.last_line


def test_arguments_are_read_as_what_the_tool_wants(tmp_path):
    assert run("call", SDK, "add", "a=1", "--timeout", "20", "b:=2", cwd=tmp_path).out == "3\n"
    (tmp_path / "long.txt").write_text("from a file")
    piped = run("call", QUICK, "echo", "-", "text=@long.txt", cwd=tmp_path, input=b'{"text": "x", "with_pid": false}')
    assert piped.out == "from a file\n"


def test_images_and_sound_are_saved_and_never_over_another_file(tmp_path):
    for number in (1, 2):
        done = run("call", SDK, "picture", "--save", "pics", cwd=tmp_path)
        assert (done.code, done.out) == (0, f"pics/picture-{number}.png\n")
        assert (tmp_path / f"pics/picture-{number}.png").read_bytes().startswith(b"\x89PNG")
    lines = run("call", SDK, "mixed", cwd=tmp_path).out.splitlines()
    assert lines[:4] == ["first", "mixed-1.wav", "a memo", "mixed-1.bin"]
    assert json.loads(run("call", SDK, "data", cwd=tmp_path).out) == {"city": "Tōkyō", "degrees": 21.5}


def test_a_tool_that_fails_is_status_1(tmp_path):
    done = run("call", QUICK, "refuse", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: the tool 'refuse' failed: the tool does not want to\n"
    done = run("call", QUICK, "refuse", "--json", cwd=tmp_path)
    assert (done.code, json.loads(done.out)["is_error"]) == (1, True)


BAD = {
    "half an object": ([QUICK, "echo", '{"text": "a"'], 2, ["line 1, column 13", "▸"]),
    "no object": ([QUICK, "echo", "[1]"], 2, ["a list"]),
    "no pair": ([QUICK, "echo", "text"], 2, ["'text'", "name=text"]),
    "no such tool": ([QUICK, "eco"], 2, ["Did you mean 'echo'"]),
    "no such agent": (["clok", "x"], 2, ["did you mean 'clock'"]),
    "no such program": (["no-such-program -x", "x"], 1, ["not on the PATH"]),
    "an open quote": (["uvx 'x", "x"], 2, ["no closing quotation"]),
    "nobody there": (["http://127.0.0.1:9/mcp", "x"], 1, ["127.0.0.1:9"]),
    "variables for an agent": (["clock", "x", "--env", "A=b"], 2, ["--env"]),
    "a header for a command": ([QUICK, "x", "--header", "A=b"], 2, ["--header"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_call_that_makes_no_sense_is_one_line(tmp_path, case):
    args, code, words = BAD[case]
    done = run("call", *args, cwd=tmp_path)
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words)


def test_a_command_gets_the_variables_it_is_given_and_no_secret_is_shown(tmp_path):
    (tmp_path / "key").write_text("hunter-2-tango\n")
    leaky = shlex.join([sys.executable, "-c", "import os, sys; sys.exit('no access with ' + os.environ['KEY'])"])
    done = run("call", leaky, "x", "--env", "KEY=@key", cwd=tmp_path)
    assert done.code == 1
    assert "no access with ***" in done.err
    assert "hunter" not in done.err
