"""`tiny-agents run --output json` and `jsonl`: the real program as another program sees it."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.openai_server import OpenAIServer, calls, delta, raw, status, text
from tests.support.processes import linux_only
from tests.support.program import LIMIT_S, PROGRAM, Done, environment, run, script, start, usual, write_agent

pytestmark = [pytest.mark.integration]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "cli-events.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
USED = {"prompt_tokens": 7, "completion_tokens": 3}
HOUR = {"type": "object", "properties": {"hour": {"type": "integer"}}, "required": ["hour"]}


@pytest.fixture
def bare(tmp_path):
    """An agent without servers."""
    return write_agent(tmp_path)


def lines(out: str) -> list[dict[str, Any]]:
    """The records of an output, each of which fits the schema, with all its keys known."""
    records = [json.loads(line) for line in out.splitlines()]
    for record in records:
        VALIDATOR.validate(record)
        (known,) = (each for each in SCHEMA["$defs"].values() if record["type"] in _kinds(each))
        assert set(record) == set(known["properties"])
    assert records[-1]["type"] == "end"
    assert [record["type"] for record in records].count("end") == 1
    return records


def _kinds(schema: dict[str, Any]) -> list[str]:
    return schema["properties"].get("type", {}).get("enum", [])


def ask(model: OpenAIServer, agent: str, folder: Path, *flags: str) -> Done:
    return run("run", agent, "--base-url", model.url, "-p", "x", *flags, cwd=folder)


def test_every_event_is_a_line_that_fits_the_schema(tmp_path):
    agent = write_agent(
        tmp_path, servers={"busy": script("busy_server.py"), "bad": script("bad_server.py", "exits_at_start")}
    )
    turns = [
        calls(
            ("work", {"steps": 2, "seconds": 0}), ("complain", {}), ("nothing", '{"a": '), content="One\u202e moment."
        ),
        raw(
            delta(reasoning="Hm."),
            delta(content="Dóne."),
            {**delta("stop"), "usage": USED},
        ),
    ]
    with OpenAIServer(turns) as model:
        done = ask(model, agent, tmp_path, "--output", "jsonl")
    records = lines(done.out)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_type.setdefault(record["type"], []).append(record)
    assert done.code == 0
    assert done.out.isascii()
    assert records[0]["type"] == "start"
    assert (records[0]["agent"], records[0]["model"], records[0]["version"]) == ("helper", "m", 1)
    assert {(each["name"], each["state"]) for each in by_type["server"]} == {("busy", "ready"), ("bad", "failed")}
    assert [(each["server"], each["tool"]) for each in by_type["tool_call"]] == [
        ("busy", "work"),
        ("busy", "complain"),
        (None, None),
    ]
    assert [each["arguments"] for each in by_type["tool_call"]] == [{"steps": 2, "seconds": 0}, {}, '{"a": ']
    assert [(each["id"], each["failed"]) for each in by_type["tool_result"]] == [
        ("call_0", False),
        ("call_1", False),
        ("call_2", True),
    ]
    assert [(each["done"], each["message"]) for each in by_type["progress"]] == [(1.0, "step 1"), (2.0, "step 2")]
    assert (by_type["log"][0]["data"], by_type["log"][0]["logger"]) == ({"paper": "low"}, "tray")
    assert [each["text"] for each in by_type["reasoning"]] == ["Hm."]
    assert [each["text"] for each in by_type["text"]] == ["One\u202e moment.", "Dóne."]
    assert by_type["usage"][-1]["input_tokens"] == 7
    end = records[-1]
    assert (end["status"], end["exit_code"], end["text"], end["has_answer"]) == ("done", 0, "Dóne.", True)
    assert (end["usage"]["model_calls"], end["tool_calls"], end["error"]) == (2, 2, None)
    assert end["session"] == records[0]["session"]


def test_json_is_the_last_record_alone(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model:
        done = ask(model, bare, tmp_path, "--output", "json", "--no-session")
    (end,) = lines(done.out)
    assert (done.code, done.err) == (0, "")
    assert (end["text"], end["stop_reason"], end["session"]) == ("Fine.", "done", None)


FAILURES = {
    "a model that refuses": (status(401, {"error": {"message": "bad key"}}), [], 1, "failed", "ProviderError"),
    "an answer that is cut off": (raw(delta(content="Hal"), delta("length")), [], 1, "failed", None),
    "a limit": (calls(("nope", {})), ["--max-turns", "1"], 3, "limit", None),
    "a key that isn't set": (text(""), ["--api-key-env", "NO_SUCH"], 2, "usage", "UsageError"),
    "no answer in the form that was asked for": (text("no"), ["--output-schema", "hour.json"], 1, "failed", None),
}


@pytest.mark.parametrize("case", FAILURES)
def test_what_goes_wrong_is_a_record_and_a_line_and_the_status(tmp_path, bare, case):
    turn, flags, code, word, kind = FAILURES[case]
    (tmp_path / "hour.json").write_text(json.dumps(HOUR))
    with OpenAIServer([turn]) as model:
        done = ask(model, bare, tmp_path, "--output", "jsonl", *flags)
    end = lines(done.out)[-1]
    assert (done.code, end["exit_code"], end["status"]) == (code, code, word)
    assert (end["error"] and end["error"]["kind"]) == kind
    if kind is not None:
        assert done.err.splitlines()[-1] == f"error: {end['error']['message']}"
    else:
        assert not end["has_answer"]
        assert done.err


def test_an_agent_that_is_not_there_is_a_record_too(tmp_path):
    done = run("run", "clok", "-p", "x", "--output", "json", cwd=tmp_path)
    (end,) = lines(done.out)
    assert (done.code, end["status"]) == (2, "usage")
    assert "did you mean 'clock'" in end["error"]["message"]


@linux_only
@pytest.mark.parametrize(("signum", "code", "word"), [(2, 130, "interrupted"), (15, 143, "terminated")])
def test_a_run_that_is_stopped_says_so_in_its_last_record(tmp_path, bare, signum, code, word):
    with OpenAIServer([text("The half", then="stall")]) as model:
        process = start("run", bare, "--base-url", model.url, "-p", "x", "--output", "jsonl", cwd=tmp_path)
        while b'"text": "The half"' not in process.stdout.readline():
            pass
        process.send_signal(signal.Signals(signum))
        out, err = process.communicate(timeout=LIMIT_S)
    end = json.loads(out.splitlines()[-1])
    assert (process.returncode, end["status"], end["text"], end["has_answer"]) == (code, word, "The half", False)
    assert usual(err.decode()) == ""


@linux_only
def test_a_reader_of_records_that_leaves_is_no_news(tmp_path, bare):
    left = threading.Event()
    turn = raw(delta(content="a"), partial(left.wait, LIMIT_S), delta(content="b"), delta("stop"))
    with OpenAIServer([turn]) as model:
        process = start("run", bare, "--base-url", model.url, "-p", "x", "--output", "jsonl", cwd=tmp_path)
        process.stdout.readline()
        process.stdout.close()
        left.set()
        assert usual(process.stderr.read().decode()) == ""
        assert process.wait(LIMIT_S) == 141


@linux_only
def test_records_that_cannot_be_written_are_a_failure(tmp_path, bare):
    with OpenAIServer([text("Fine.")]) as model, open("/dev/full", "w") as full:
        args = [
            sys.executable,
            "-m",
            "tiny_agents",
            "run",
            bare,
            "--base-url",
            model.url,
            "-p",
            "x",
            "--output",
            "json",
        ]
        done = subprocess.run(
            args, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, timeout=LIMIT_S
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


# ---------------------------------------------------------------- the other flags of a single prompt


def test_an_answer_with_a_schema_is_printed_as_json_that_fits_it(tmp_path, bare):
    (tmp_path / "hour.json").write_text(json.dumps(HOUR))
    with OpenAIServer([text("noon"), text('```json\n{"hour": 12}\n```')]) as model:
        done = ask(model, bare, tmp_path, "--output-schema", "hour.json", "--quiet")
    assert (done.code, json.loads(done.out), done.err) == (0, {"hour": 12}, "")


def test_quiet_leaves_the_answer_and_errors(tmp_path):
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py"), "bad": {"command": "no-such-program"}})
    with OpenAIServer([calls(("echo", {"text": "a"}), content="Let me see."), text("Fine.")]) as model:
        done = ask(model, agent, tmp_path, "-q")
    assert (done.code, done.out, done.err) == (0, "Fine.\n", "")
    with OpenAIServer([calls(("echo", {"text": "a"}))]) as model:
        done = ask(model, agent, tmp_path, "-q", "--max-tool-calls", "0")
    assert (done.code, done.out) == (3, "")
    (line,) = done.err.splitlines()
    assert line.startswith("error: Stopped at the limit of 0 tool calls")


def test_the_prompt_may_be_a_named_file_or_all_of_standard_input(tmp_path, bare):
    (tmp_path / "q.txt").write_text("from a file\n")
    prompts = [("@q.txt", None), ("@-", b"from a pipe\n"), ("@@ada", None), ("@ada wrote", None)]
    with OpenAIServer([text("Fine.")]) as model:
        for flag, piped in prompts:
            given = {"input": piped} if piped else {}
            assert run("run", bare, "--base-url", model.url, "-p", flag, cwd=tmp_path, **given).code == 0
        asked = [chat["messages"][-1]["content"] for chat in model.chats]
    assert asked == ["from a file", "from a pipe", "@ada", "@ada wrote"]


BAD = {
    "no such prompt": (["-p", "@nope.txt"], ["nope.txt", "no such file", "@@"]),
    "a schema that isn't there": (["-p", "x", "--output-schema", "nope.json"], ["nope.json", "no such file"]),
    "a schema that is no JSON": (["-p", "x", "--output-schema", "bad.json"], ["bad.json:2:7", "no JSON"]),
    "a schema that is none": (["-p", "x", "--output-schema", "odd.json"], ["odd.json", "no JSON Schema"]),
    "a limit without a price": (["-p", "x", "--max-cost", "1"], ["cost"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_flag_that_makes_no_sense_is_said_before_anything_starts(tmp_path, bare, case):
    flags, words = BAD[case]
    (tmp_path / "bad.json").write_text('{"type":\n  "a" "b"}')
    (tmp_path / "odd.json").write_text('{"type": "hour"}')
    done = run("run", bare, "--base-url", "http://127.0.0.1:9/v1", *flags, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words)


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals")
def test_at_a_terminal_a_question_is_asked_beside_the_records_and_both_are_told(tmp_path):
    from tests.support.terminal import ENTER, Terminal

    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")})
    with OpenAIServer([calls(("echo", {"text": "a"})), text("Fine.")]) as model:
        flags = ["--base-url", model.url, "-p", "x", "--output", "jsonl", "--permission", "ask"]
        command = f"{shlex.join([*PROGRAM, 'run', agent, *flags])} > records.jsonl"
        with Terminal(["sh", "-c", command], env=environment(tmp_path), cwd=tmp_path) as terminal:
            terminal.wait_for(r"Allow it\?")
            terminal.type(f"y{ENTER}")
            assert terminal.wait_for_exit() == 0
    records = lines((tmp_path / "records.jsonl").read_text())
    asked, answered = (next(each for each in records if each["type"] == kind) for kind in ("ask", "answered"))
    assert (asked["kind"], asked["message"], asked["detail"]) == ("permission", "quick.echo", {"text": "a"})
    assert (answered["tool"], answered["answer"]) == ("echo", "once")
    assert records[-1]["text"] == "Fine."
