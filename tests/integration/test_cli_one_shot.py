"""`tiny-agents run` without a terminal: the real program, a scripted model, real servers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import datetime

import pytest

from tests.support.openai_server import OpenAIServer, calls, delta, raw, status, text
from tests.support.processes import Mark, linux_only, until, waits_to_read
from tests.support.program import LIMIT_S, SUPPORT, run, script, start, until_said, usual, write_agent

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")]


@pytest.fixture
def bare(tmp_path):
    """An agent without servers."""
    return write_agent(tmp_path)


def asked(model: OpenAIServer) -> str:
    """What the user said in the first request."""
    return next(message["content"] for message in model.chats[0]["messages"] if message["role"] == "user")


# ---------------------------------------------------------------- prompts and answers


def test_the_answer_is_all_there_is_on_standard_output(tmp_path):
    agent = write_agent(tmp_path, servers={"time": {"command": "${python}", "args": ["-m", "mcp_server_time"]}})
    turns = [calls(("get_current_time", {"timezone": "Asia/Tokyo"}), content="Let me look."), text("It is ", "noon.")]
    with OpenAIServer(turns) as model:
        done = run("run", agent, "--base-url", model.url, "--prompt", "What time is it in Tokyo?", cwd=tmp_path)
    assert (done.code, done.out) == (0, "It is noon.\n")
    lines = done.err.splitlines()
    if lines[0] == "Waiting for the servers to start; Ctrl+C leaves.":  # on a machine that is busy
        del lines[0]
    said, call, *result = lines
    assert said == "Let me look."
    assert call == '▸ get_current_time {"timezone": "Asia/Tokyo"}'
    told = json.loads("\n".join(result))
    assert datetime.fromisoformat(told["datetime"]).utcoffset().total_seconds() == 9 * 3600
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    ("flag", "piped", "prompt"),
    [
        ("Hello", None, "Hello"),
        (None, b"line one\nline two\n", "line one\nline two"),
        ("Review this:", b"the diff\n", "Review this:\n\nthe diff"),
    ],
)
def test_the_prompt_comes_from_the_flag_from_a_pipe_or_from_both(tmp_path, bare, flag, piped, prompt):
    flags = [] if flag is None else ["-p", flag]
    with OpenAIServer([text("Fine.")]) as model:
        done = run("run", bare, "--base-url", model.url, *flags, cwd=tmp_path, **({"input": piped} if piped else {}))
        assert (done.code, done.out, done.err) == (0, "Fine.\n", "")
        assert asked(model) == prompt


def test_the_prompt_may_come_from_a_file(tmp_path, bare):
    (tmp_path / "prompt.txt").write_text("What is in it?\n", encoding="utf-8")
    with OpenAIServer([text("Fine.")]) as model, (tmp_path / "prompt.txt").open() as file:
        assert run("run", bare, "--base-url", model.url, cwd=tmp_path, input=file.fileno()).out == "Fine.\n"
        assert asked(model) == "What is in it?"


def test_a_pipe_that_stays_silent_is_waited_for_and_that_is_said(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model:
        process = start("run", bare, "--base-url", model.url, cwd=tmp_path, stdin=subprocess.PIPE)
        until_said(process, b"waiting for text on standard input")
        out, _ = process.communicate(b"late", timeout=LIMIT_S)
        assert (process.returncode, out) == (0, b"Fine.\n")
        assert asked(model) == "late"


def test_with_a_prompt_a_pipe_that_stays_silent_is_left_alone(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model:
        process = start("run", bare, "--base-url", model.url, "-p", "Sum up:", cwd=tmp_path, stdin=subprocess.PIPE)
        until_said(process, b"going on without it")
        assert process.stdout.read() == b"Fine.\n"
        assert process.wait(LIMIT_S) == 0
        assert asked(model) == "Sum up:"


def test_the_answer_is_the_models_text_to_the_letter(tmp_path, bare):
    with OpenAIServer([text("a\x1b[1mb\u202e ", "grüße\n")]) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert done.out == "a\x1b[1mb\u202e grüße\n"


def test_whose_sentence_it_is_is_said_beside_the_answer(tmp_path, bare):
    last = {**delta("stop"), "tiny_agents": {"answer_from": "tool"}}
    with OpenAIServer([raw(delta(content="12:00"), last)]) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert done.out == "12:00\n"
        assert "tool's own result" in done.err


# ---------------------------------------------------------------- failures


def test_the_turn_limit_is_a_status_of_its_own(tmp_path):
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")}, max_turns=2)
    with OpenAIServer([calls(("echo", {"text": "again"}), content="Hm.")]) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert (done.code, done.out) == (3, "")
        assert "2 model calls" in done.last_line
        assert len(model.chats) == 2


def test_a_last_answer_at_a_limit_is_handed_over_with_the_limits_status_and_what_was_used(tmp_path):
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")}, limits={"tool_calls": 0})
    with OpenAIServer([calls(("echo", {"text": "x"}), content="Hm."), text("All I know.")]) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", "--usage", cwd=tmp_path)
        assert (done.code, done.out) == (3, "All I know.\n")
        *_, notice, usage = done.err.splitlines()
        assert notice.startswith("Stopped at the limit of 0 tool calls (limits.tool_calls).")
        assert usage.startswith("2 model calls, about ")
        assert usage.endswith("cost unknown")
        assert len(model.chats) == 2


def test_an_answer_in_another_form_than_wanted_is_set_aside_and_not_part_of_the_answer(tmp_path):
    schema = {"type": "object", "properties": {"value": {"type": "integer"}}, "required": ["value"]}
    agent = write_agent(tmp_path, output={"schema": schema}, servers={"quick": script("quick_server.py")})
    turns = [calls(("echo", {"text": "3"})), text("It is 3."), text('{"value": 3}')]
    with OpenAIServer(turns) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, json.loads(done.out)) == (0, {"value": 3})
    assert done.err.splitlines()[-2:] == [
        "It is 3.", "That is not in the form that is wanted: the model is asked again.",
    ]  # fmt: skip
    assert done.err.count("asked again") == 1


def test_what_happens_is_written_to_a_log_beside_the_answer(tmp_path, bare):
    secret = "sk-a-key-nobody-may-see"
    with OpenAIServer([text("Fine.")]) as model:
        flags = ("--base-url", model.url, "--api-key-env", "KEY", "--log", "log", "--log-content")
        done = run("run", bare, *flags, "-p", f"Is {secret} here?", cwd=tmp_path, KEY=secret)
    assert (done.code, done.out, done.err) == (0, "Fine.\n", "")
    records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [record["event"] for record in records] == ["run.start", "model.start", "model.end", "run.end"]
    assert records[0]["content"] == {"request": "Is *** here?"}
    assert len(records[0]["definition"]) == 64


def test_a_log_that_cannot_be_written_is_an_error_before_anything_starts(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "x", "--log", "no/where", cwd=tmp_path)
        assert (done.code, done.out, model.requests) == (2, "", [])
    assert done.err == "error: the log no/where can't be written: No such file or directory\n"


def test_a_conversation_that_is_summed_up_is_one_line_beside_the_answer(tmp_path):
    agent = write_agent(
        tmp_path,
        servers={"time": {"command": "${python}", "args": ["-m", "mcp_server_time"]}},
        context={"max_tokens": 2500, "keep": 1},
    )
    asked = iter(range(12))

    def answer(request):
        if "You write the memory" in request.body["messages"][0]["content"]:
            return text("It is noon.")
        turn = next(asked)
        return (
            calls(("get_current_time", {"timezone": "Asia/Tokyo"}), content="I look. " * 60)
            if turn < 11
            else text("Noon.")
        )

    with OpenAIServer(answer) as model:
        done = run("run", agent, "--base-url", model.url, "--prompt", "What time is it?", cwd=tmp_path)
    assert (done.code, done.out) == (0, "Noon.\n")
    assert "The older part of the conversation was summed up for the model: about 2,0" in done.err
    assert "It is noon" not in done.err


def test_a_cut_answer_is_no_answer(tmp_path, bare):
    with OpenAIServer([raw(delta(content="The half"), then="reset")]) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    first, *_, last = done.err.splitlines()
    assert first == "The half"
    assert last.startswith("error: ")
    assert "Traceback" not in done.err


def test_an_answer_that_was_cut_off_by_its_longest_length_is_none_either(tmp_path, bare):
    with OpenAIServer([raw(delta(content="The half"), delta("length"))]) as model:
        done = run("run", bare, "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[0] == "The half"
    assert "cut off by the model's server (finish_reason 'length')" in done.err


def test_one_bad_server_does_not_take_the_others_along(tmp_path):
    servers = {
        "gone": {"command": "no-such-program-anywhere"},
        "dead": script("bad_server.py", "exits_at_start"),
        "quick": script("quick_server.py"),
    }
    agent = write_agent(tmp_path, servers=servers)
    with OpenAIServer([calls(("echo", {"text": "hello"})), text("Fine.")]) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
    assert (done.code, done.out) == (0, "Fine.\n")
    assert "warning: the server 'gone'" in done.err
    assert "no-such-program-anywhere" in done.err
    assert "warning: MCP server 'dead'" in done.err
    assert "no such key" in done.err
    assert "sk-abc" not in done.err
    assert "\x1b" not in done.err
    assert "▸ echo" in done.err


BAD_AGENTS = {
    "a command that isn't there": ({"x": {"command": "no-such-program-anywhere"}}, ["'x'", "no-such-program-anywhere"]),
    "a server that exits at start": (
        {"x": script("bad_server.py", "exits_at_start")},
        ["'x'", "status 3", "no such key"],
    ),
    "a server that never answers": ({"x": script("bad_server.py", "never_answers")}, ["'x'", "within 1 s"]),
    "a server that refuses connections": ({"x": {"url": "http://127.0.0.1:9/mcp"}}, ["'x'", "127.0.0.1:9"]),
}


@pytest.mark.parametrize("case", BAD_AGENTS)
def test_an_agent_whose_servers_all_fail_is_one_clear_error(tmp_path, case):
    servers, words = BAD_AGENTS[case]
    agent = write_agent(tmp_path, servers=servers, startup_timeout=1 if "never answers" in case else 30)
    with OpenAIServer([text("never asked")]) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert model.chats == []
    assert (done.code, done.out) == (1, "")
    assert done.err.count("error: ") == 1
    assert all(word in done.err for word in words)
    assert "Traceback" not in done.err


BAD_DEFINITIONS = {
    "bad yaml": ("servers:\n  x: {command: [a, b\nmodel: m\n", ["bad.yaml:3"]),
    "unknown key": ("modle: m\n", ["bad.yaml:1", "modle", "'model'"]),
    "unset input": (
        "model: m\ninputs: [{id: my-key, description: The key}]\nservers:\n  x: {command: '${python}', "
        "env: {KEY: '${input:my-key}'}}\n",
        ["my-key", "MY_KEY", "--input my-key="],
    ),
}


@pytest.mark.parametrize("case", BAD_DEFINITIONS)
def test_a_bad_definition_names_its_place_before_anything_starts(tmp_path, case):
    source, words = BAD_DEFINITIONS[case]
    (tmp_path / "bad.yaml").write_text(source, encoding="utf-8")
    done = run("run", "bad.yaml", "--base-url", "http://127.0.0.1:9/v1", "-p", "x", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words)


BAD_COMMANDS = {
    "no such file": (["run", "missing.yaml", "-p", "x"], ["missing.yaml"]),
    "no such agent": (["run", "clok", "-p", "x"], ["'clok'", "did you mean 'clock'"]),
    "no prompt": (["run", "helper.yaml"], ["standard input", "--prompt"]),
    "an empty prompt": (["run", "helper.yaml", "-p", " "], ["empty"]),
    "a variable that isn't set": (["run", "helper.yaml", "-p", "x", "--api-key-env", "NO_SUCH"], ["NO_SUCH"]),
    "an input that isn't there": (["run", "helper.yaml", "-p", "x", "--input", "a=secret!"], ["'a'"]),
    "two places": (["run", "helper.yaml", "-p", "x", "--provider", "p", "--base-url", "http://x/v1"], ["--provider"]),
    "no such provider": (
        ["run", "helper.yaml", "-p", "x", "--provider", "grok", "--model", "m"],
        ["'grok'", "Did you mean 'groq'"],
    ),
    "nowhere to run": (["run", "helper.yaml", "-p", "x"], ["HF_TOKEN", "--base-url", "--provider local"]),
}


@pytest.mark.parametrize("case", BAD_COMMANDS)
def test_a_command_that_makes_no_sense_is_one_line_and_status_2(tmp_path, bare, case):
    args, words = BAD_COMMANDS[case]
    done = run(*args, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: ")
    assert all(word in line for word in words)
    assert "secret!" not in line


KEY = "my-very-own-key-4711"
BAD_MODELS = {
    "nobody listens": (None, ["127.0.0.1:9"]),
    "wrong key": (status(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}), ["401"]),
    "no tools": (status(400, {"error": {"message": "this model does not support tools"}}), ["does not support tools"]),
    "an empty answer": (raw(delta("stop")), ["no answer"]),
}


@pytest.mark.parametrize("debug", [[], ["--debug"]])
@pytest.mark.parametrize("case", BAD_MODELS)
def test_a_model_that_fails_is_one_clear_error_and_never_shows_the_key(tmp_path, bare, case, debug):
    turn, words = BAD_MODELS[case]
    with OpenAIServer([turn or text("")]) as model:
        url = model.url if turn else "http://127.0.0.1:9/v1"
        key = ["--api-key-env", "TEST_KEY"]
        done = run("run", bare, "--base-url", url, *key, "-p", "x", *debug, cwd=tmp_path, TEST_KEY=KEY)
    assert (done.code, done.out) == (1, "")
    assert all(word in done.last_line for word in words)
    assert KEY not in done.err
    if not debug:
        assert len(done.err.splitlines()) == 1
    elif "answer" not in case:
        assert "Traceback" in done.err


def test_a_secret_input_is_never_shown(tmp_path):
    inputs = [{"id": "my-key", "password": True}]
    server = script("bad_server.py", "exits_at_start", env={"NAME": "${input:my-key}"})
    server["args"] = ["-c", "import os, sys; sys.exit('no access with ' + os.environ['NAME'])"]
    agent = write_agent(tmp_path, inputs=inputs, servers={"x": server})
    for debug in ([], ["--debug"]):
        given = ["--input", f"my-key={KEY}"]
        done = run("run", agent, "--base-url", "http://127.0.0.1:9/v1", "-p", "x", *given, *debug, cwd=tmp_path)
        assert done.code == 1
        assert "no access with ***" in done.err
        assert KEY not in done.err


def test_what_servers_tell_of_a_secret_input_is_masked_for_the_user_and_for_the_model(tmp_path):
    server = {"command": "${python}", "args": [str(SUPPORT / "leaky_server.py"), "${input:pw}"]}
    agent = write_agent(
        tmp_path,
        inputs=[{"id": "pw", "password": True}],
        servers={"leaky": server, "dying": {**server, "args": [*server["args"], "dies"]}},
    )
    (tmp_path / "pw.txt").write_text("hunter-2-tango\n")
    turns = [calls(("fail", {})), calls(("crash", {})), text("I'm done.")]
    with OpenAIServer(turns) as model:
        done = run("run", agent, "--base-url", model.url, "-p", "hi", "--input", "pw=@pw.txt", "--debug", cwd=tmp_path)
        told = [message["content"] for message in model.chats[-1]["messages"] if message["role"] == "tool"]
    assert (done.code, done.out) == (0, "I'm done.\n")
    assert told[0] == "Error: I was started with ***, I was"
    assert "I was started with ***, I was" in told[1]
    assert "MCP server 'dying'" in done.err
    assert "starting with ***" in done.err
    assert "hunter" not in done.err + json.dumps(model.chats)


@linux_only
def test_an_answer_that_cannot_be_written_is_a_failure(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model, open("/dev/full", "w") as full:
        args = [sys.executable, "-m", "tiny_agents", "run", bare, "--base-url", model.url, "-p", "x"]
        done = subprocess.run(
            args, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=LIMIT_S
        )
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: ")
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_news(tmp_path, bare):
    reader_left = threading.Event()
    turn = raw(delta(content="Fine."), lambda: reader_left.wait(LIMIT_S), delta("stop"))
    with OpenAIServer([turn]) as model:
        process = start("run", bare, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert model.started.wait(LIMIT_S)
        process.stdout.close()
        reader_left.set()
        assert usual(process.stderr.read().decode()) == ""
        assert process.wait(LIMIT_S) == 141


# ---------------------------------------------------------------- signals


@linux_only
@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda value: str(value),
)
@pytest.mark.anyio
async def test_a_signal_ends_the_answer_the_server_and_the_program(tmp_path, signum, code):
    mark = Mark()
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py", env=mark.env)})
    with OpenAIServer([text("The half", then="stall")]) as model:
        process = start("run", agent, "--base-url", model.url, "-p", "x", cwd=tmp_path)
        assert model.started.wait(LIMIT_S)
        assert mark.pids()
        process.send_signal(signum)
        out, err = process.communicate(timeout=LIMIT_S)
        assert (process.returncode, out) == (code, b"")
        assert model.gone.wait(LIMIT_S)
    await mark.gone()
    assert b"Traceback" not in err
    assert b"The half" in err or usual(err.decode()) == ""  # it may not have been read yet


@linux_only
@pytest.mark.anyio
async def test_a_signal_while_a_server_starts_leaves_nothing_behind(tmp_path):
    mark = Mark()
    agent = write_agent(tmp_path, servers={"slow": script("bad_server.py", "never_answers", env=mark.env)})
    process = start("run", agent, "--base-url", "http://127.0.0.1:9/v1", "-p", "x", cwd=tmp_path)
    await mark.running(1, within_s=LIMIT_S)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, usual(err.decode())) == (143, "")
    await mark.gone()


def test_ctrl_c_while_standard_input_is_read(tmp_path, bare):
    process = start("run", bare, "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path, stdin=subprocess.PIPE)
    until_said(process, b"waiting for text")
    if sys.platform == "linux":
        until(lambda: waits_to_read(process.pid, process.stdin.fileno()))
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 130
    assert usual(process.stderr.read().decode()) == ""


# ---------------------------------------------------------------- the other commands


def test_list_shows_what_each_bundled_agent_does_and_needs(tmp_path):
    done = run("list", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    names = [line for line in done.out.splitlines() if line and not line.startswith(" ")]
    assert {"clock", "files", "web"} <= set(names)
    assert done.out.count("needs: ") >= 3
    without = run("list", cwd=tmp_path, PATH=os.devnull)
    assert "missing here: " in without.out
    assert "nodejs.org" in without.out


HEAVY = {"mcp", "httpx2", "prompt_toolkit", "rich", "yaml", "msgspec", "asyncio", "xllamacpp", "anyio", "pydantic"}


def added(loaded):
    """What was loaded beyond what Python itself does here (the path files of an environment import things, too)."""
    code = "import sys; print(*sys.modules)"
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT_S, check=True)
    return set(loaded) - set(bare.stdout.split())


@pytest.mark.parametrize("args", [["--help"], ["--version"], ["run", "--help"], ["run"], ["run", "--nope"], ["nope"]])
def test_help_and_wrong_flags_load_nothing_heavy(tmp_path, args):
    code = f"import sys, tiny_agents.cli as c; c.main({args!r}); print(*sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S, check=True
    )
    loaded = done.stderr.splitlines()[-1].split()
    assert "tiny_agents.cli" in loaded
    assert not HEAVY & set(loaded)
    ours = [name for name in loaded if name.startswith("tiny_agents.")]
    if args in (["--help"], ["--version"]):
        assert ours == ["tiny_agents.cli"]
        assert not {"argparse", "typing", "re", "enum", "importlib", "contextlib", "pathlib"} & added(loaded)
        return
    assert ours == [
        "tiny_agents.cli",
        "tiny_agents.cli.arguments",
        "tiny_agents.cli.exit_codes",
        "tiny_agents.cli.flags",
        "tiny_agents.cli.flags.init",
        "tiny_agents.cli.flags.output",
        "tiny_agents.cli.flags.sessions",
        "tiny_agents.cli.flags.setup",
        "tiny_agents.cli.flags.test",
        "tiny_agents.cli.flags.tools",
        "tiny_agents.cli.report",
        "tiny_agents.cli.screen",
        "tiny_agents.cli.screen.safe_text",
        "tiny_agents.cli.screen.terminal",
        "tiny_agents.errors",
    ]


def test_version_is_the_packages(tmp_path):
    from tiny_agents import __version__

    assert run("--version", cwd=tmp_path).out == f"tiny-agents {__version__}\n"


def test_a_place_without_any_key_is_said_before_anything_starts(tmp_path):
    agent = write_agent(tmp_path, servers={"x": script("bad_server.py", "never_answers")}, startup_timeout=30)
    done = run("run", agent, "--provider", "openai", "--model", "gpt", "-p", "x", cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("error: ") == 1
    assert "OPENAI_API_KEY" in done.err


@linux_only
def test_help_that_cannot_be_written_is_a_failure(tmp_path):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tiny_agents", "--help"], stdout=full, stderr=subprocess.PIPE, timeout=LIMIT_S
        )
    assert (done.returncode, done.stderr) == (1, b"error: can't write to standard output: No space left on device\n")
