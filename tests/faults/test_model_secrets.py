"""The model's server repeats keys, leads elsewhere, or writes what isn't meant for eyes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.leftovers import MODEL_KEY, Leftovers
from tests.support.openai_server import Turn, calls, delta, raw, status, text
from tests.support.program import Done, write_agent
from tiny_agents import Agent, InferenceError, ProviderError, Session, SqliteSessionStore

pytestmark = pytest.mark.anyio

Program = Callable[..., Done]
ECHO = f"Incorrect API key provided: {MODEL_KEY}."


@pytest.mark.promise("no leak")
@pytest.mark.parametrize(
    "turn",
    [
        status(401, {"error": {"message": ECHO}}),
        status(403, ECHO),
        status(400, {"detail": [{"msg": ECHO}]}),
        status(500, {"error": {"message": ECHO}}, retry_after="0", x_request_id=MODEL_KEY),
        status(401, f"<html>{ECHO}</html>", content_type="text/html"),
        raw(delta(content="a"), {"error": {"message": ECHO}}),
        raw(delta(content="a"), f"data: {{{ECHO}\n\n"),
        raw(ECHO, done=False),
        Turn(body=f'{{"error": "{ECHO}"}}'.encode()),
        Turn(body=f"no completion but {ECHO}".encode()),
        Turn(status=307, headers={"location": f"http://127.0.0.1:9/{MODEL_KEY}"}, body=b""),
        Turn(status=307, headers={"location": f"http://[{MODEL_KEY}"}, body=b""),
        Turn(wire=[f"{MODEL_KEY}\r\n\r\n".encode()]),
        Turn(wire=[f"HTTP/1.1 401 {MODEL_KEY}\r\n{MODEL_KEY}\r\n\r\n".encode()]),
    ],
)
async def test_a_key_that_is_repeated_is_shown_nowhere(
    model: Callable[..., Any], leftovers: Leftovers, tmp_path: Path, turn: Turn
) -> None:
    server = model(turn)
    session = Session(SqliteSessionStore(tmp_path / "sessions.db"))
    log = tmp_path / "run.log"
    async with Agent(base_url=server.url, model="m", api_key=MODEL_KEY, session=session, run_log=log) as agent:
        with pytest.raises(InferenceError) as caught:
            await agent.run_to_completion("go")
        error: BaseException | None = caught.value
        while error is not None:  # what is behind it is printed with its traceback
            leftovers.seen(error, repr(error), vars(error))
            error = error.__cause__ or error.__context__
        leftovers.seen(repr(agent), agent.result)
    assert server.requests[0].headers["authorization"] == f"Bearer {MODEL_KEY}"


@pytest.mark.promise("no leak")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_key_goes_to_no_other_host(model: Callable[..., Any], code: int) -> None:
    elsewhere = model(text("stolen"))
    server = model(Turn(status=code, headers={"location": f"{elsewhere.url}/chat/completions"}, body=b""))
    async with Agent(base_url=server.url, model="m", api_key=MODEL_KEY) as agent:
        with pytest.raises(ProviderError, match="which is not followed"):
            await agent.run_to_completion("go")
    assert elsewhere.requests == []


@pytest.mark.promise("no leak", "no surprise")
def test_what_moves_the_cursor_or_hides_does_neither(
    model: Callable[..., Any], tiny_agents: Program, tmp_path: Path
) -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b2J\u202egnp.exe\U000e0041\u200b"
    server = model(
        calls((f"square{hostile}", {"n": hostile})),
        status(400, {"error": {"message": f"no {hostile} today"}}),
    )
    done = tiny_agents("run", write_agent(tmp_path), "--base-url", server.url, "-p", "x")
    assert done.code == 1
    assert "today" in done.err
    for hidden in ("\x1b", "\x07", "\x9b", "\u202e", "\U000e0041"):
        assert hidden not in done.err
