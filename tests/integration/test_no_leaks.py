"""Secrets planted in every place that holds some, and servers and a model that repeat what they were told, everywhere.

What is printed, logged, traced, saved and kept is then searched for them, in every spelling.
"""

from __future__ import annotations

import base64
import inspect
import json
import logging
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.openai_server import OpenAIServer, calls, raw, status, text
from tests.support.program import LIMIT_S, SUPPORT, Done, environment, run, script, write_agent
from tiny_agents import AsyncInferenceClient, InferenceClient, MCPClient, ProviderError

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

OBSERVED = SUPPORT / "observed_run.py"

SECRETS = {
    "the token": "hf_zqtokenQ7x9aaaa",
    "the model's key": "zqmodelkeyQ7x9",
    "another key of ours": "zqotherQ7x9",
    "a header": "zqheaderQ7x9",
    "a bearer": "zqbearerQ7x9",
    "a variable": "zqvariableQ7x9",
    "an input": 'zq"input\\Q7 x9/ß',
    "an input from a file": "zqfileinputQ7x9",
    "a password": "zqpasswordQ7x9",
    "a user": "zquserQ7x9",
    "a query": "zqqueryQ7x9",
    "an argument": "zqargumentQ7x9",
    "a session": "zqsessionQ7x9",
}


def found_in(text: str) -> list[str]:
    """Which secrets are in `text`, in whatever spelling."""
    found = []
    for name, secret in SECRETS.items():
        spellings = {
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            urllib.parse.quote(secret, safe=""),
        }
        if any(spelling in text for spelling in spellings):
            found.append(name)
    return found


def repeat(request: Recorded) -> Answer:
    """A remote MCP server that repeats the request's headers and address in all that it says."""
    if request.method != "POST":
        return 405
    message = request.body
    known = json.dumps([request.path, {**request.headers, "mcp-session-id": ""}])

    def answer(**result: object) -> Answer:
        return {"jsonrpc": "2.0", "id": message["id"], "result": result}

    match message["method"]:
        case "initialize":
            about = {"serverInfo": {"name": "e", "version": "1"}, "instructions": known}
            greeting = answer(protocolVersion="2025-06-18", capabilities={"tools": {}}, **about)
            headers = {"content-type": "application/json", "mcp-session-id": SECRETS["a session"]}
            return 200, headers, json.dumps(greeting).encode()
        case "tools/list":
            names = ("show", "fail", "refuse", "status")
            return answer(tools=[{"name": n, "description": known, "inputSchema": {"type": "object"}} for n in names])
        case "tools/call" if message["params"]["name"] in ("show", "fail"):
            is_error = message["params"]["name"] == "fail"
            return answer(content=[{"type": "text", "text": known}], isError=is_error)
        case "tools/call" if message["params"]["name"] == "refuse":
            return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32000, "message": known}}
        case "tools/call":
            return 403, {"content-type": "text/plain"}, known.encode()
        case _:
            return 202


TURNS = [
    calls(("tell", {}), ("local__fail", {}), ("local__refuse", {})),
    calls(
        *((f"{server}__{name}", {}) for server in ("keyed", "bearing") for name in ("show", "fail", "refuse", "status"))
    ),
    calls(("crash", {})),
    text("Done."),
]


class World:
    """A folder with an agent in which everything that can hold a secret does."""

    def __init__(self, folder: Path, peer: HTTPPeer) -> None:
        self.folder = folder
        self.peer = peer
        inputs = [{"id": "one", "password": True}, {"id": "two", "password": True}]
        user, password, query = (SECRETS[name] for name in ("a user", "a password", "a query"))
        at = peer.url.replace("http://", f"http://{user}:{password}@")
        env = {"MY_TOKEN": SECRETS["a variable"], "ONE": "${input:one}", "TWO": "${input:two}"}
        local = script("telling_server.py", "--api-key", SECRETS["an argument"], env=env)
        remote = {"url": f"{at}/mcp?api_key={query}", "headers": {"X-Key": SECRETS["a header"]}}
        bearing = {"url": f"{peer.url}/mcp", "headers": {"Authorization": f"Bearer {SECRETS['a bearer']}"}}
        nowhere = {"url": f"http://{user}:{password}@127.0.0.1:9/mcp?api_key={query}"}
        dying = {"command": sys.executable, "args": ["-c", "import os; exit(str(dict(os.environ)))"], "env": env}
        servers = {"local": local, "keyed": remote, "bearing": bearing, "nowhere": nowhere, "dying": dying}
        self.agent = write_agent(folder, name="full", inputs=inputs, servers=servers)
        for name, secret in (("one", "an input"), ("two", "an input from a file")):
            (folder / name).write_text(SECRETS[secret], encoding="utf-8")
        self.inputs = ["--input", "one=@one", "--input", "two=@two"]

    def run(self, *args: str) -> Done:
        keys = {"HF_TOKEN": SECRETS["the token"], "A_KEY": SECRETS["the model's key"]}
        return run(*args, cwd=self.folder, OPENAI_API_KEY=SECRETS["another key of ours"], **keys)

    def ask(self, model: OpenAIServer, *args: str) -> Done:
        command = [
            "run",
            self.agent,
            "--base-url",
            model.url,
            "--api-key-env",
            "A_KEY",
            "-p",
            "x",
            "--yes",
            *self.inputs,
        ]
        return self.run(*command, *args)

    def files(self) -> dict[str, str]:
        """What was written, by path; not what was there before."""
        given = {"one", "two", "full.yaml"}
        paths = [path for path in self.folder.rglob("*") if path.is_file() and path.name not in given]
        return {str(path.relative_to(self.folder)): path.read_bytes().decode("utf-8", "replace") for path in paths}


@pytest.fixture
def world(tmp_path):
    with HTTPPeer(repeat) as peer:
        yield World(tmp_path, peer)


def test_no_secret_is_in_anything_that_a_run_prints_logs_saves_or_tells_a_model(world):
    with OpenAIServer(TURNS) as model:
        done = world.ask(model, "--debug", "--log", "run.log", "--log-content")
        told = json.dumps([request.body for request in model.requests], ensure_ascii=False)
        headers = [request.headers for request in model.requests]
    assert done.code == 0, done.err
    assert done.out == "Done.\n"
    assert "not the protocol: " in done.err  # what a server wrote beside it was logged
    assert told.count("***") > 20
    assert (found_in(done.out), found_in(done.err), found_in(told)) == ([], [], [])
    files = world.files()
    assert {"run.log", "data/tiny-agents/sessions/sessions.db"} <= set(files)
    assert {path: found for path, content in files.items() if (found := found_in(content))} == {}
    assert all(found_in(json.dumps(each)) == ["the model's key"] for each in headers)
    theirs = {"a header", "a bearer", "a query", "a session"}  # and the user and password, in base64
    assert {name for request in world.peer.requests for name in found_in(str(request))} <= theirs

    shown = [
        world.run("sessions", "export", "last"),
        world.run("sessions", "show", "last"),
        world.run("show", world.agent),
    ]
    assert [each.code for each in shown] == [0, 0, 0]
    assert [found_in(each.out + each.err) for each in shown] == [[], [], []]


def test_no_secret_is_in_what_is_printed_for_programs(world):
    with OpenAIServer(TURNS) as model:
        done = world.ask(model, "--output", "jsonl")
    assert done.code == 0, done.err
    assert found_in(done.out + done.err) == []
    assert '"tool"' in done.out
    listed = world.run("tools", world.agent, *world.inputs, "--debug")
    assert "local" in listed.out
    assert found_in(listed.out + listed.err) == []


def test_a_model_that_repeats_the_key_does_not_get_it_shown(tmp_path):
    key = SECRETS["the model's key"]
    words = f"wrong: {key} {json.dumps(key)} {SECRETS['the token']}"
    bare = write_agent(tmp_path, name="bare")
    answers = [status(401, {"error": {"message": words}}), raw({"error": {"message": words}}), raw(f"data: {{{key}")]
    for answer in answers:
        with OpenAIServer([answer]) as model:
            url = model.url.replace("http://", f"http://me:{SECRETS['a password']}@") + f"?api_key={SECRETS['a query']}"
            args = ["run", bare, "--base-url", url, "--api-key-env", "A_KEY", "-p", "x", "--debug", "--log", "run.log"]
            done = run(*args, cwd=tmp_path, A_KEY=key, HF_TOKEN=SECRETS["the token"])
        assert done.code == 1
        assert "Traceback" in done.err
        assert found_in(done.err + done.out + (tmp_path / "run.log").read_text()) == []


def test_no_secret_is_in_spans_logs_events_or_the_errors_of_a_program(world):
    inputs = {"one": SECRETS["an input"], "two": SECRETS["an input from a file"]}
    with OpenAIServer(TURNS) as model:
        key = SECRETS["the model's key"]
        program = [sys.executable, str(OBSERVED), world.agent, model.url, key, json.dumps(inputs)]
        env = environment(world.folder, TINY_AGENTS_BASE_URL=model.url, TINY_AGENTS_API_KEY=key)
        done = subprocess.run(program, cwd=world.folder, env=env, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)
    assert {what: found for what, said in seen.items() if (found := found_in(str(said)))} == {}
    assert any("gen_ai.tool.call.result" in span for span in seen["spans"])
    assert len(seen["errors"]) == 3 + 8
    assert "HTTP Request: POST http://127.0.0.1:" in seen["log"]


@pytest.mark.parametrize("kind", [InferenceClient, AsyncInferenceClient])
async def test_what_is_secret_in_an_address_is_sent_and_in_no_log_or_error(kind, caplog):
    secret_ones = f"me:{SECRETS['a password']}@", f"?api_key={SECRETS['a query']}&version=2"
    turns = [text("Hello."), status(400, {"error": {"message": f"no {SECRETS['a query']} for {secret_ones[0]}"}})]
    with caplog.at_level(logging.INFO), OpenAIServer(turns) as model:
        url = model.url.replace("http://", f"http://{secret_ones[0]}") + secret_ones[1]
        client = kind(base_url=url, max_retries=0)

        async def ask():
            answer = client.chat_completion([{"role": "user", "content": "x"}], model="m")
            return await answer if inspect.isawaitable(answer) else answer

        assert (await ask()).choices[0].message.content == "Hello."
        with pytest.raises(ProviderError) as caught:
            await ask()
    assert model.requests[0].path == f"/v1/chat/completions{secret_ones[1]}"
    assert (
        base64.b64decode(model.requests[0].headers["authorization"].removeprefix("Basic ")).decode()
        == secret_ones[0][:-1]
    )
    assert "HTTP Request: POST http://127.0.0.1:" in caplog.text
    assert "no *** for ***" in str(caught.value)
    assert found_in(caplog.text + repr(caught.value) + caught.value.body) == []


async def test_a_program_s_baggage_goes_to_no_server():
    from opentelemetry import baggage, context

    attached = context.attach(baggage.set_baggage("who", SECRETS["a user"]))
    try:
        async with MCPClient(model="m", base_url="http://127.0.0.1:9/v1", api_key="x") as client:
            await client.add_mcp_server("stdio", command=sys.executable, args=[str(SUPPORT / "repeating_server.py")])
            told = json.loads((await client.call_tool("repeat", {"a": 1})).text)
    finally:
        context.detach(attached)
    assert told["arguments"] == {"a": 1}
    assert "_meta" in told
    assert SECRETS["a user"] not in json.dumps(told)
