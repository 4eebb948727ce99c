"""`tiny-agents doctor`: the real program, real servers, an endpoint on loopback."""

from __future__ import annotations

import json

import pytest

from tests.support.http_peer import HTTPPeer
from tests.support.program import Done, run, script, write_agent
from tiny_agents.cli.findings import here, token_finding

pytestmark = [pytest.mark.integration]

KEY = "my-very-own-key-4711"
TOKEN = "hf_abcdefgh12345678"


def findings(done: Done) -> dict[str, tuple[str, str]]:
    """What was looked at -> state and text."""
    told = json.loads(done.out)
    assert told["ok"] == (done.code == 0)
    return {each["what"]: (each["state"], f"{each['text']} {each['fix']}") for each in told["findings"]}


def test_all_that_an_agent_needs_is_looked_at_and_nothing_secret_is_shown(tmp_path):
    servers = {
        "quick": script("quick_server.py"),
        "dying": script("bad_server.py", "exits_at_start"),
        "absent": {"command": "no-such-program-anywhere"},
    }
    agent = write_agent(tmp_path, servers=servers)
    with HTTPPeer(lambda request: {"data": [{"id": "other"}]}) as peer:
        flags = ["--base-url", f"{peer.url}/v1", "--model", "m", "--api-key-env", "KEY"]
        done = run("doctor", agent, "--json", *flags, cwd=tmp_path, KEY=KEY, HF_TOKEN=TOKEN)
        (asked,) = peer.requests
    found = findings(done)
    assert done.code == 1
    assert (asked.path, asked.headers["authorization"]) == ("/v1/models", f"Bearer {KEY}")
    assert KEY not in done.out + done.err
    assert TOKEN not in done.out + done.err
    assert {found[name][0] for name in ("Python", "tiny-agents", "data folder", "agent", "model")} == {"ok"}
    assert found["Hugging Face token"] == ("ok", "in HF_TOKEN (not tried; --online does) ")
    assert found["endpoint"][0] == "warning"
    assert "doesn't list the model 'm': it has other" in found["endpoint"][1]
    state, text = found["server quick"]
    assert (state, " tools: echo, wait, refuse" in text) == ("ok", True)
    state, text = found["server dying"]
    assert (state, "status 3" in text) == ("error", True)
    state, text = found["server absent"]
    assert (state, "not on the PATH" in text) == ("error", True)


def test_what_is_wrong_with_a_definition_is_told_in_lines_and_nothing_is_started(tmp_path):
    (tmp_path / "bad.yaml").write_text("modle: m\nservers: {x: {comand: y}}\n")
    done = run("doctor", "bad.yaml", cwd=tmp_path)
    errors = [line for line in done.out.splitlines() if line.startswith("error")]
    assert (done.code, done.err) == (1, "")
    assert any("bad.yaml:1:1" in line and "'model'" in line for line in errors)
    assert done.out.splitlines()[-1] == f"{len(errors)} to mend."


def test_an_endpoint_that_refuses_or_is_not_there_has_to_be_mended(tmp_path):
    agent = write_agent(tmp_path, servers={"quick": script("quick_server.py")})
    with HTTPPeer(lambda request: 401) as peer:
        done = run("doctor", agent, "--json", "--no-start", "--base-url", f"{peer.url}/v1", cwd=tmp_path)
    found = findings(done)
    assert (done.code, found["endpoint"][0], found["servers"][0]) == (1, "error", "note")
    assert "refuses requests without a key (401)" in found["endpoint"][1]
    found = findings(run("doctor", "--json", "--base-url", "http://127.0.0.1:9/v1", cwd=tmp_path))
    assert found["endpoint"][0] == "error"
    assert "127.0.0.1:9" in found["endpoint"][1]


def test_the_token_is_tried_only_when_asked_to(tmp_path):
    def answer(request):
        return {"name": "ada"} if "valid" in request.headers.get("authorization", "") else 401

    with HTTPPeer(answer) as peer:
        for token, state in (("hf_valid12345", "ok"), ("hf_stale12345", "error")):
            env = {"HF_ENDPOINT": peer.url, "HF_TOKEN": token}
            done = run("doctor", "--json", "--online", "--base-url", f"{peer.url}/v1", cwd=tmp_path, **env)
            assert findings(done)["Hugging Face token"][0] == state
        asked = [request for request in peer.requests if request.path == "/api/whoami-v2"]
        assert len(asked) == 2
        assert all("authorization" not in request.headers for request in peer.requests if request not in asked)


def test_what_is_missing_on_a_bare_machine_is_named_with_what_to_do(tmp_path):
    env = {"TINY_AGENTS_DATA": str(tmp_path / "file" / "x"), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    (tmp_path / "file").touch()
    found = {each.what: each for each in here(env, which=lambda name: None, find_module=lambda name: None)}
    assert found["npx"].state == "note"
    assert "nodejs.org" in found["npx"].fix
    assert found["extra local"].fix == "pip install 'tiny-agents[local]'"
    assert found["data folder"].state == "error"
    assert found["Hugging Face token"].state == "note"


@pytest.mark.parametrize("token", ["sk-12345678", "hf_with space", "hf_ü123456"])
def test_a_token_that_looks_like_none_is_a_warning(token):
    finding = token_finding({"HF_TOKEN": token})
    assert finding.state == "warning"
    assert token not in finding.text + finding.fix
