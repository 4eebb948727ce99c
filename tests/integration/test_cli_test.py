"""`tiny-agents test`, as a user runs it: with answers of the tests, with a model, recorded and played again."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, status, text
from tests.support.program import environment, run, script, start
from tiny_agents import CaseResult, run_tests

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
PASSWORD = "a-password-that-nobody-sees"


def write(folder: Path, tests: Any, **definition: Any) -> Path:
    whole = {"model": "m", "tools": {"python": ["./tools.py"]}, **definition, "tests": tests}
    (folder / "agent.yaml").write_text(json.dumps(whole), encoding="utf-8")
    (folder / "tools.py").write_text(
        'def add(a: int, b: int) -> int:\n    """Add."""\n    return a + b\n', encoding="utf-8"
    )
    return folder


ADDS = {
    "name": "adds",
    "prompt": "What is 1 and 2?",
    "answers": [{"calls": [{"tool": "add", "arguments": {"a": 1, "b": 2}}]}, "It is 3."],
    "expect": {"contains": "3", "calls": ["add"]},
}
GUESSES = {"name": "guesses", "prompt": "And 2 and 2?", "answers": ["5"], "expect": {"equals": "4", "calls": ["add"]}}


def test_each_test_has_a_line_and_one_that_fails_says_in_what(tmp_path: Path) -> None:
    write(tmp_path, [ADDS, GUESSES])
    done = run("test", cwd=tmp_path, HF_TOKEN="", TINY_AGENTS_BASE_URL="http://127.0.0.1:9")
    assert re.sub(r"\d+\.\d s", "S", done.out).splitlines() == [
        "ok    adds (2 model calls, 1 tool call, S)",
        "FAIL  guesses (1 model call, S)",
        "      agent.yaml:1",
        '      equals: should be "4"; the answer is "5"',
        "      calls: add was not called; it called no tool",
        "1 passed, 1 failed",
    ]
    assert (done.code, done.err) == (1, "")

    assert run("test", ".", "-k", "ADD", cwd=tmp_path).code == 0
    listed = run("test", "--list", cwd=tmp_path)
    assert (listed.code, listed.out) == (0, "adds\nguesses\n")


def test_for_programs_it_is_one_object(tmp_path: Path) -> None:
    write(tmp_path, [GUESSES, ADDS])
    done = run("test", "--output", "json", "-x", cwd=tmp_path)
    whole = json.loads(done.out)
    assert done.code == 1
    (one,) = whole.pop("tests")
    assert whole == {"type": "tests", "version": 1, "agent": tmp_path.name, "passed": 0, "failed": 1, "not_run": 1}
    assert (one["name"], one["file"], one["passed"], one["answered_by"]) == ("guesses", "agent.yaml", False, "script")
    assert one["problems"][0].startswith("equals: ")
    assert (one["error"], one["text"], one["stop_reason"], one["calls"]) == (None, "5", "done", [])
    assert one["used"]["model_calls"] == 1


UNUSABLE: dict[str, tuple[Any, list[str], str]] = {
    "no tests": ([], [], "has no tests: add `tests` to it (docs/testing.md)"),
    "a misspelt key": ([{"promt": "a"}], [], "tests[0].promt: unknown key (did you mean 'prompt'?)"),
    "no such name": ([ADDS], ["-k", "divides"], "-k: none of the 1 tests has 'divides' in its name"),
    "no recording": ([ADDS], ["--replay", "none.json"], "none.json: there is no such recording: make it with --record"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_what_can_not_be_used_ends_with_2_before_anything_starts(tmp_path: Path, case: str) -> None:
    tests, flags, words = UNUSABLE[case]
    write(tmp_path, tests)
    done = run("test", *flags, cwd=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def model(request: Recorded) -> Turn:
    messages = request.body["messages"]
    if "You translate" in messages[0]["content"]:
        return text("drei")
    results = [m["content"] for m in messages if m["role"] == "tool"]
    if not results:
        return calls(("add", {"a": 1, "b": 2}), ("translator", {"task": f"three, {PASSWORD}"}))
    return text(f"It is {results[0]}, {results[1]}.")


def test_what_a_model_says_is_recorded_and_played_without_it(tmp_path: Path) -> None:
    (tmp_path / "translator").mkdir()
    (tmp_path / "translator" / "agent.yaml").write_text("prompt: You translate.\nmodel: other\n", encoding="utf-8")
    asks = {"prompt": "What is 1 and 2?", "expect": {"contains": ["3", "drei"], "calls": ["add", "translator"]}}
    write(
        tmp_path,
        [asks],
        tools={"python": ["./tools.py"], "agents": ["./translator"]},
        inputs=[{"id": "key", "password": True}],
        apiKey="${input:key}",
    )
    with OpenAIServer(model) as server:
        flags = ["--base-url", server.url, "--api-key-env", "KEY"]
        recorded = run("test", *flags, "--record", "kept/answers.json", cwd=tmp_path, KEY=PASSWORD)
        live = run("test", *flags, "--live", cwd=tmp_path, KEY=PASSWORD)
        asked = len(server.chats)
    assert recorded.code == 0, recorded.out + recorded.err
    assert "(live, 3 model calls, 2 tool calls, " in recorded.out
    assert live.code == 0
    assert asked == 6
    file = (tmp_path / "kept" / "answers.json").read_text(encoding="utf-8")
    assert [len(answers) for answers in json.loads(file)["tests"].values()] == [3]
    assert PASSWORD not in file

    played = run("test", "--replay", "kept/answers.json", cwd=tmp_path)  # no server, no key
    assert played.code == 0, played.out + played.err
    assert "ok    What is 1 and 2? (recorded, 3 model calls, 2 tool calls, " in played.out

    (tmp_path / "kept" / "answers.json").write_text('{"version": 1, "tests": {}}', encoding="utf-8")
    unknown = run("test", "--replay", "kept/answers.json", cwd=tmp_path)
    assert unknown.code == 1
    assert "error: there are no answers for this test, and no model may be asked" in unknown.out


def test_an_answer_of_the_second_model_is_recorded_once(tmp_path: Path) -> None:
    def second(request: Recorded) -> Turn:
        return status(404, {"error": {"code": "model_not_found"}}) if request.body["model"] == "one" else text("Here.")

    write(tmp_path, [{"name": "asks", "prompt": "Where?"}], model=["one", "two"], tools={})
    with OpenAIServer(second) as server:
        done = run("test", "--record", "kept.json", cwd=tmp_path, TINY_AGENTS_BASE_URL=server.url)
    assert done.code == 0, done.out + done.err
    (answers,) = json.loads((tmp_path / "kept.json").read_text())["tests"].values()
    assert [answer["text"] for answer in answers] == ["Here."]
    assert run("test", "--replay", "kept.json", cwd=tmp_path).code == 0


def test_a_script_that_is_too_short_or_too_long_fails(tmp_path: Path) -> None:
    short = {"prompt": "Short", "answers": [{"calls": ["add"]}]}
    long = {"prompt": "Long", "answers": ["One.", "Two."]}
    write(tmp_path, [short, long])
    done = run("test", "--offline", cwd=tmp_path)
    assert done.code == 1
    assert "error: the script has 1 answer, and the model was asked once more:" in done.out
    assert "answers: 1 of 2 were not asked for" in done.out


def test_a_server_that_does_not_start_fails_the_test(tmp_path: Path) -> None:
    broken = {"command": "${python}", "args": ["-c", "raise SystemExit('no key')"]}
    write(tmp_path, [{"prompt": "a", "answers": ["b"]}], servers={"broken": broken})
    done = run("test", cwd=tmp_path)
    assert done.code == 1
    assert "FAIL  a (" in done.out
    assert "error: " in done.out
    assert "'broken'" in done.out


def test_permissions_count_and_a_test_may_say_that_calls_are_allowed(tmp_path: Path) -> None:
    sums = script("sums_server.py")
    answers = [{"calls": [{"tool": "add", "arguments": {"a": 1, "b": 2}}]}, "Done."]

    def case(name: str, outcome: str, **more: Any) -> dict[str, Any]:
        expect = {"calls": [{"tool": "sums.add", "outcome": outcome}]}
        return {"name": name, "prompt": "Add.", "answers": answers, "expect": expect, **more}

    tests = [case("as it is", "denied"), case("allowed", "ok", permission="allow")]
    write(tmp_path, tests, tools={}, servers={"sums": sums}, permissions={"ask": ["sums.add"]})
    done = run("test", cwd=tmp_path)
    assert done.code == 0, done.out
    assert run("test", "-k", "as it is", "--yes", cwd=tmp_path).code == 1


def test_calls_that_have_a_result_are_not_made(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    inner = {"prompt": "You are inside.", "servers": {"deep": script("sums_server.py")}}
    (tmp_path / "inner" / "agent.yaml").write_text(json.dumps(inner), encoding="utf-8")
    wanted = [
        {"tool": "add", "arguments": {"a": 1, "b": 2}},
        {"tool": "add", "arguments": {"a": 2, "b": 2}},
        {"tool": "greet", "arguments": {"name": "Ada"}},
        {"tool": "fail"},
        {"tool": "inner", "arguments": {"task": "Add inside."}},
    ]
    case = {
        "prompt": "Go.",
        "answers": [
            {"calls": wanted},
            {"to": "Add inside.", "calls": [{"tool": "add", "arguments": {"a": 5, "b": 5}}]},
            {"to": "a hundred", "text": "inside it is a hundred"},
            "Done.",
        ],
        "results": [
            {"tool": "inner/deep.add", "text": "a hundred"},
            {"tool": "sums.add", "arguments": {"a": 1}, "text": "three, in the test"},
            {"tool": "greet", "text": "no greeting", "error": True},
            {"tool": "sums.fail", "text": "never"},
        ],
        "expect": {
            "calls": [
                {"tool": "sums.add", "times": 2},
                {"tool": "greet", "outcome": "error"},
                {"tool": "fail", "outcome": "denied"},
                "inner/deep.add",
                "inner",
            ]
        },
    }
    write(
        tmp_path,
        [case],
        tools={"agents": ["./inner"]},
        servers={"sums": script("sums_server.py")},
        permissions={"deny": ["sums.fail"]},
    )
    (result,) = asyncio.run(_results(tmp_path))
    assert result.passed, (result.problems, result.error)
    assert [call.text for call in result.calls if call.place == "sums"] == [
        "three, in the test",
        "4",
        "Error: no greeting",
        "Error: the call of 'fail' was not allowed, so it was not made: the user's rules forbid it (deny: sums.fail)",
    ]
    assert [call.text for call in result.calls if call.place == "inner/deep"] == ["a hundred"]


def test_ctrl_c_leaves_and_ends_the_servers(tmp_path: Path, serve: Callable[..., OpenAIServer]) -> None:
    write(tmp_path, [{"prompt": "a"}], tools={}, servers={"sums": script("sums_server.py")})
    server = serve(text("Well", then="stall"))
    program = start("test", "--base-url", server.url, cwd=tmp_path)
    assert server.started.wait(60)
    program.send_signal(signal.SIGINT)
    out, err = program.communicate(timeout=30)
    assert (program.returncode, out) == (130, b""), err
    assert server.gone.wait(60)


async def _results(folder: Path, **options: Any) -> list[CaseResult]:
    return [result async for result in run_tests(folder, **options)]


def test_what_is_played_costs_nothing(tmp_path: Path) -> None:
    case = {**ADDS, "expect": {"at_most": {"cost_usd": 0, "model_calls": 2}}}
    write(tmp_path, [case], limits={"cost_usd": 0.01})
    (result,) = asyncio.run(_results(tmp_path))
    assert result.passed, (result.problems, result.error)
    assert result.used["cost_usd"] == 0


def test_in_python_the_results_are_values(tmp_path: Path) -> None:
    write(tmp_path, [ADDS, GUESSES])
    good, bad = asyncio.run(_results(tmp_path))
    assert (good.passed, good.text, good.calls[0].tool, good.by) == (True, "It is 3.", "add", "script")
    assert (bad.passed, len(bad.problems), bad.case.name) == (False, 2, "guesses")
    (only,) = asyncio.run(_results(tmp_path, only="ADDS"))
    assert only.case.name == "adds"


# ---- what is shown


WITH_TESTS = sorted(
    path.parent.name for path in (ROOT / "examples").glob("*/agent.yaml") if "\ntests:" in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", WITH_TESTS)
def test_the_tests_of_the_examples_pass(name: str, tmp_path: Path) -> None:
    assert len(WITH_TESTS) >= 3
    done = run("test", str(ROOT / "examples" / name), "--offline", cwd=tmp_path)
    assert done.code == 0, done.out + done.err


def test_the_page_shows_what_is_so(tmp_path: Path) -> None:
    folder = tmp_path / "my-agent"
    folder.mkdir()
    (first,) = re.findall(r"```yaml\n(model.*?mcp_server_time.*?)```", PAGE, re.DOTALL)
    (folder / "agent.yaml").write_text(first, encoding="utf-8")
    shown = [block.strip() for block in re.findall(r"^```\n((?:\$|FAIL).*?)^```", PAGE, re.DOTALL | re.MULTILINE)]

    def printed(out: str) -> str:
        return re.sub(r"\d+\.\d s", "0.9 s", out).strip()

    assert shown[0] == f"$ tiny-agents test ./my-agent\n{printed(run('test', './my-agent', cwd=tmp_path).out)}"
    (folder / "agent.yaml").write_text(first.replace("contains: Tokyo", "contains: Kyoto"), encoding="utf-8")
    assert shown[1] == printed(run("test", "./my-agent", cwd=tmp_path).out)


def test_the_python_of_the_page_runs(tmp_path: Path) -> None:
    (tmp_path / "my-agent").mkdir()
    write(tmp_path / "my-agent", [ADDS])
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Three. 1 0\n"), done.stderr
