"""Addresses that a server or a model names are text: nothing of ours asks there."""

from __future__ import annotations

import pytest

from tests.support.http_peer import HTTPPeer
from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.program import run, script, write_agent

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("output", ["text", "jsonl"])
def test_nothing_that_a_server_or_a_model_names_is_fetched(tmp_path, output):
    with HTTPPeer(lambda _: {"type": "integer"}) as peer:
        said = f"![picture]({peer.url}/answer.png) <img src='{peer.url}/html.png'> {peer.url}/plain"
        agent = write_agent(tmp_path, servers={"naming": script("naming_server.py", peer.url)})
        with OpenAIServer([calls(("t", {"a": 1})), text(said)]) as model:
            done = run("run", agent, "--base-url", model.url, "-p", "x", "--yes", "--output", output, cwd=tmp_path)
            told = model.chats[-1]["messages"][-1]["content"]
    assert done.code == 0, done.err
    assert f"{peer.url}/link" in told
    assert "/answer.png" in done.out
    assert peer.requests == []
