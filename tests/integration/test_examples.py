"""Every example runs as it is: by the real command line or as the real script, with a scripted model."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_peer import HTTPPeer
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, status, text
from tests.support.program import Done, environment, run
from tiny_agents.agent.definition.validation import validate_definition

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
AGENTS = sorted(path.parent.name for path in EXAMPLES.glob("*/agent.yaml"))
SCRIPTS = sorted(
    str(path.relative_to(EXAMPLES)) for path in (*EXAMPLES.glob("*.py"), EXAMPLES / "library/read_and_review.py")
)

Script = Callable[[Recorded], Turn]


def last(request: Recorded) -> dict[str, Any]:
    message: dict[str, Any] = request.body["messages"][-1]
    return message


def system(request: Recorded) -> str:
    return str(request.body["messages"][0]["content"])


def results(request: Recorded) -> list[str]:
    return [m["content"] for m in request.body["messages"] if m["role"] == "tool"]


def tools(request: Recorded) -> set[str]:
    return {tool["function"]["name"] for tool in request.body.get("tools", ())}


def example(
    name: str, model: Script, tmp_path: Path, prompt: str = "Go.", folder: Path = EXAMPLES, **env: str
) -> tuple[Done, OpenAIServer]:
    """Run an agent of the folder with a single prompt."""
    with OpenAIServer(model) as server:
        flags = ["--base-url", server.url, "--model", "m", "--prompt", prompt]
        return run("run", str(folder / name), *flags, cwd=tmp_path, **env), server


def script(name: str, model: Script, tmp_path: Path, *args: str) -> tuple[str, OpenAIServer]:
    """Run a script of the folder; what it printed."""
    with OpenAIServer(model) as server:
        env = environment(tmp_path, TINY_AGENTS_BASE_URL=server.url, TINY_AGENTS_MODEL="m")
        done = subprocess.run(
            [sys.executable, "-X", "utf8", str(EXAMPLES / name), *args],
            cwd=tmp_path,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout, server


def test_the_clock_looks_at_its_clock_and_keeps_its_limits(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        if request.body.get("tool_choice") == "none":
            return text("I can't say more.")
        again = f"c{len(request.body['messages'])}"
        return calls(("get_current_time", {"timezone": "Asia/Tokyo"}), ids=[again])

    done, server = example("clock", model, tmp_path)
    assert done.code == 3, done.err
    assert done.out == "I can't say more.\n"
    assert "Asia/Tokyo" in results(server.requests[1])[0]
    assert "limit" in done.last_line
    assert len(server.chats) <= 5


def test_the_reader_reads_and_changes_nothing_where_nobody_can_be_asked(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "reader", tmp_path / "reader")

    def model(request: Recorded) -> Turn:
        if results(request):
            return text(" / ".join(results(request)))
        return calls(
            ("read_note", {"name": "garden"}),
            ("write_note", {"name": "garden", "text": "x"}),
            ("remove_note", {"name": "garden"}),
            ids=list("abc"),
        )

    done, _ = example("reader", model, tmp_path, folder=tmp_path)
    read, written, removed = done.out.split(" / ")
    assert read.strip() == "Water the ferns on Friday."
    assert "needs the user's permission" in written
    assert "the user's rules forbid it (deny: notes.remove_*)" in removed
    assert (tmp_path / "reader" / "notes" / "garden.md").read_text() == "Water the ferns on Friday.\n"


def test_the_extract_is_data_that_fits_its_schema(tmp_path: Path) -> None:
    wanted = {"seller": "Kettles Ltd", "date": "2026-05-03", "total": 39.9, "currency": "EUR"}

    def model(request: Recorded) -> Turn:
        if "can't be used" in str(last(request)["content"]):
            return text(json.dumps(wanted))
        return text('{"seller": "Kettles Ltd"}')

    done, server = example("extract", model, tmp_path, "Kettles Ltd, 3 May 2026: 39.90 EUR")
    assert json.loads(done.out) == wanted
    assert server.chats[-1]["response_format"]["json_schema"]["name"] == "invoice"


def test_the_calculator_calculates_with_its_functions(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        if results(request):
            return text(" and ".join(results(request)))
        return calls(("percent", {"of": 1234.5, "rate": 7}), ("calculate", {"left": 1, "operation": "/", "right": 3}))

    done, server = example("calculator", model, tmp_path)
    assert done.out == "86.415 and 0.3333\n"
    assert {"calculate", "percent"} <= tools(server.requests[0])
    assert "rounded" not in tools(server.requests[0])


def test_the_team_looks_up_at_the_same_time_and_one_writes(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        told = results(request)
        if "You lead" in system(request):
            if not told:
                cities = ("Oslo", "Rome")
                return calls(*(("researcher", {"task": city}) for city in cities), ids=["o", "r"])
            return calls(("editor", {"task": " ".join(told)}), ids=["e"]) if len(told) == 2 else text(told[-1])
        if "Write three sentences" in system(request):
            return text(f"Dear reader. {last(request)['content']}")
        return text(told[-1]) if told else calls(("look_up", {"city": last(request)["content"]}))

    done, server = example("team", model, tmp_path)
    assert done.code == 0, done.err
    assert done.out.startswith("Dear reader. In March it is about 1 C in Oslo")
    assert "12 C in Rome" in done.out
    assert 'researcher ▸ look_up {"city": "Oslo"}\n' in done.err
    assert len(server.chats) == 3 + 4 + 1


def test_the_letter_is_written_as_its_skill_says(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        told = results(request)
        if len(told) == 2:
            return text(f"Dear shop. {told[1]}")
        wanted = [{"name": "complaint"}, {"name": "complaint", "file": "closing.md"}][len(told)]
        return calls(("load_skill", wanted), ids=[f"c{len(told)}"])

    done, server = example("letters", model, tmp_path)
    assert done.out == "Dear shop. With kind regards\n\n" or done.out == "Dear shop. With kind regards\n"
    assert "- thanks: How a letter of thanks is written." in system(server.requests[0])
    assert "Say what was bought, and when." in results(server.requests[1])[0]


def test_the_remote_server_gets_its_header_and_nobody_else_sees_it(tmp_path: Path) -> None:
    secret = "hf_example_of_a_token"

    def model(request: Recorded) -> Turn:
        return text(f"It is {results(request)[0]}.") if results(request) else calls(("count", {}))

    with HTTPPeer.legacy_mcp() as hub:
        done, server = example("remote", model, tmp_path, REMOTE_URL=f"{hub.url}/mcp", HF_TOKEN=secret)
    assert done.out == "It is 1.\n", done.err
    assert {request.headers.get("authorization") for request in hub.requests} == {f"Bearer {secret}"}
    assert secret not in done.out + done.err + json.dumps([r.body for r in server.requests])


def test_the_toolbox_has_tools_of_three_servers_and_only_those_that_are_wanted(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        if results(request):
            return text(" / ".join(results(request)))
        return calls(
            ("time__get_current_time", {"timezone": "Europe/Oslo"}),
            ("notes__list_notes", {}),
            ("extra__list_notes", {}),
            ids=list("abc"),
        )

    done, server = example("toolbox", model, tmp_path)
    ours = {name for name in tools(server.requests[0]) if "__" in name}
    assert ours == {
        "time__get_current_time",
        "notes__list_notes",
        "notes__read_note",
        "extra__list_notes",
        "extra__read_note",
    }
    assert "Europe/Oslo" in done.out
    assert "garden" in done.out
    assert "SKILL" in done.out


def test_the_next_model_answers_where_the_first_can_not_be_had(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        if request.body["model"].startswith("Qwen/"):
            return status(503)
        return text(f"Hello from {request.body['model']}.")

    with OpenAIServer(model) as server:
        done = run("run", str(EXAMPLES / "fallback"), "--base-url", server.url, "--prompt", "Hi", cwd=tmp_path)
    assert done.out == "Hello from meta-llama/Llama-3.3-70B-Instruct.\n", done.err
    assert server.chats[-1]["temperature"] == 0.3


def test_resources_are_read_and_a_prompt_is_filled_in(tmp_path: Path) -> None:
    printed, server = script("library/read_and_review.py", lambda _: text("A ", "classic."), tmp_path)
    assert printed == "resource: library://opening-hours\nopen: Monday to Friday, 9 to 18.\nA classic.\n"
    assert last(server.requests[0])["content"] == "Write a review of dracula in one sentence."


def test_one_turn_after_the_other(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        return text("Late.") if results(request) else calls(("get_current_time", {"timezone": "Asia/Tokyo"}))

    printed, _ = script("one_turn.py", model, tmp_path)
    assert printed.startswith("tools: get_current_time, convert_time\n")
    assert "[get_current_time] {" in printed
    assert printed.endswith("Late.\n")


def test_an_answer_is_shown_as_it_comes(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        if last(request)["role"] == "user" and "colour" not in last(request)["content"]:
            return calls(("word_count", {"text": "the quick brown fox"}))
        return text("Four." if "colour" not in json.dumps(request.body) else "Three.")

    printed, _ = script("stream.py", model, tmp_path)
    lines = printed.splitlines()
    assert lines[:3] == ["> How many words has 'the quick brown fox'?", "[word_count: 4]", "Four."]
    assert lines[3:5] == ["> And without the colour?", "Three."]
    assert lines[5].startswith("3 model calls, about ")


def test_a_conversation_goes_on_where_it_was_left(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        known = "Miro" in json.dumps(request.body["messages"][:-1])
        return text("Miro." if known else "A feather.")

    printed, _ = script("sessions.py", model, tmp_path)
    assert printed == "A feather.\n3 messages were there\nMiro.\n"


def test_a_script_without_async_asks_and_asks_again(tmp_path: Path) -> None:
    def model(request: Recorded) -> Turn:
        asked = [m for m in request.body["messages"] if m["role"] == "user"]
        if len(asked) == 2:
            return text("Three.")
        return text("Four.") if results(request) else calls(("word_count", {"text": "the quick brown fox"}))

    printed, server = script("script.py", model, tmp_path)
    assert printed.splitlines()[:2] == ["Four.", "Three."]
    assert results(server.requests[1]) == ["4"]


def test_several_questions_at_once_and_one_that_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_EACH", "6")

    def model(request: Recorded) -> Turn:
        if "Rome" in last(request)["content"]:
            return text("All roads", then="stall")
        return text("Oslo has a fjord.")

    printed, server = script("gather.py", model, tmp_path, "Oslo", "Rome")
    assert printed == "Oslo has a fjord.\nRome took too long.\n"
    assert server.gone.wait(60)


def test_the_bot_answers_many_users_each_in_their_own_conversation(tmp_path: Path) -> None:
    joe_was_refused = threading.Event()

    def model(request: Recorded) -> Turn:
        said = [m["content"] for m in request.body["messages"] if m["role"] == "user"]
        if "again" in said:  # slow, so that the messages after it have to wait
            assert joe_was_refused.wait(30)
        return status(400) if "bad" in said else text("You said: " + ", ".join(said))

    with OpenAIServer(model) as server:
        env = environment(tmp_path, TINY_AGENTS_BASE_URL=server.url, TINY_AGENTS_MODEL="m")
        command = [sys.executable, "-X", "utf8", str(EXAMPLES / "bot.py")]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdin=pipe, stdout=pipe, encoding="utf-8") as room:
            assert room.stdin is not None
            assert room.stdout is not None
            room.stdin.write("ann: one\nbob: uno\nann: two\neve: bad\n" + "joe: again\n" * 5)
            room.stdin.close()
            lines = []
            for line in room.stdout:
                lines.append(line.rstrip("\n"))
                if lines.count("@joe One after the other, please.") == 2:
                    joe_was_refused.set()
            assert room.wait(30) == 0
    assert [line for line in lines if line.startswith("@ann")] == ["@ann You said: one", "@ann You said: one, two"]
    assert "@bob You said: uno" in lines
    assert "@eve Sorry, that didn't work." in lines
    assert lines.count("@joe One after the other, please.") == 2
    assert len(lines) == 9


def test_the_service_streams_to_the_browser_and_stops_where_the_page_is_closed(tmp_path: Path) -> None:
    pytest.importorskip("fastapi")

    def model(request: Recorded) -> Turn:
        if last(request)["content"] == "stall":
            return text("Well", then="stall")
        return text("Four.") if results(request) else calls(("word_count", {"text": "a b c d"}))

    def ask(question: str, kind: str = "application/json") -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", int(address.rpartition(":")[2]), timeout=30)
        connection.request("POST", "/ask", json.dumps({"question": question}), {"Content-Type": kind})
        return connection.getresponse()

    with OpenAIServer(model) as server:
        env = environment(tmp_path, TINY_AGENTS_BASE_URL=server.url, TINY_AGENTS_MODEL="m")
        command = [sys.executable, "-X", "utf8", str(EXAMPLES / "serve.py"), "0"]
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, encoding="utf-8") as service:
            try:
                assert service.stdout is not None
                address = service.stdout.readline().strip()
                lines = [json.loads(line) for line in ask("How many?").read().splitlines()]
                assert lines[:2] == [{"tool": "word_count", "failed": False}, {"text": "Four."}]
                assert lines[2]["stop_reason"] == "done"
                assert ask("x", "text/plain").status == 415
                assert ask("x" * 30_000).status == 413
                assert service.stdout.readline() == "stopped: done\n"
                stalled = ask("stall")
                assert json.loads(stalled.readline()) == {"text": "Well"}
                stalled.close()
                assert service.stdout.readline() == "stopped: the page was closed\n"
                assert server.gone.wait(60)
            finally:
                service.terminate()


# ---- all of them


def test_every_example_has_its_test_and_its_line_on_the_page() -> None:
    assert len(AGENTS) + len(SCRIPTS) >= 12
    own = Path(__file__).read_text(encoding="utf-8")
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    started = re.findall(r'(?:example|script)\("([^"]+)"|EXAMPLES / "([a-z_]+\.py)"', own)
    run_here = {name for names in started for name in names if name} | set(re.findall(r'EXAMPLES / "([a-z]+)"\)', own))
    assert run_here == {*AGENTS, *SCRIPTS}
    assert set(re.findall(r"^\| \[([^\]]+)\]\(", page, re.MULTILINE)) == {*AGENTS, *SCRIPTS}
    assert all((EXAMPLES / link).exists() for link in re.findall(r"\]\((?!http|\.\.)([^)]+)\)", page))


@pytest.mark.parametrize("name", AGENTS)
def test_nothing_is_wrong_with_it(name: str) -> None:
    found = validate_definition(EXAMPLES / name, env=os.environ)
    assert found.errors == ()
    assert found.warnings == ()
    assert found.definition is not None
    assert found.definition.description
