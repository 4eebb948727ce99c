"""What users meet who run the program: one clear line, the right status, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.leftovers import MODEL_KEY, Leftovers
from tests.support.openai_server import status
from tests.support.program import Done, write_agent

Program = Callable[..., Done]


@pytest.mark.promise("no leak")
def test_a_key_that_the_model_s_server_repeats_is_shown_nowhere(
    tmp_path: Path, model: Callable[..., Any], tiny_agents: Program, leftovers: Leftovers
) -> None:
    server = model(status(401, {"error": {"message": f"Incorrect API key provided: {MODEL_KEY}"}}))
    flags = ["--base-url", server.url, "--api-key-env", "KEY", "--log", "run.log", "--log-content", "--debug"]
    done = tiny_agents("run", write_agent(tmp_path), "-p", "x", *flags, KEY=MODEL_KEY)
    assert (done.code, done.out) == (1, "")
    assert server.requests[0].headers["authorization"] == f"Bearer {MODEL_KEY}"
    assert "the key was not accepted" in done.err
