"""Processes that are killed in the middle of a conversation, again and again: nothing that was complete is lost.

`make crash-test` does it 200 times; here it is fewer, so that the suite stays short.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.history import recover
from tiny_agents.agent.sessions.types import StoredSession

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="fork and kill")]

KILLS = int(os.environ.get("TINY_AGENTS_CRASHES", "30"))
WORKER = Path(__file__).parents[1] / "support" / "crash_worker.py"
ROOT = Path(__file__).parents[2]

Try = Callable[[str, str], tuple[int, float]]


def model(request: Recorded) -> Turn:
    """Two squares for each request, then an answer with both, in small pieces."""
    if request.body is None:
        return raw()  # who asked was killed while it did
    messages = request.body["messages"]
    number = int(next(m["content"] for m in reversed(messages) if m["role"] == "user").split()[1])
    if messages[-1]["role"] == "user":
        ids = [f"c{len(messages)}_{index}" for index in range(2)]
        return calls(("square", {"n": number}), ("square", {"n": number + 10}), ids=ids)
    results = [m["content"] for m in messages[-2:]]
    pieces = [f"done {number}:", f" {results[0]}", f" {results[1]}", "."]
    return raw(*(event for piece in pieces for event in (delta(content=piece), 0.002)), delta("stop"))


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Try]:
    with OpenAIServer(model) as server:
        worker = subprocess.Popen(
            [sys.executable, str(WORKER), server.url, str(tmp_path / "sessions.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        with worker:
            assert worker.stdin is not None
            assert worker.stdout is not None

            def attempt(session_id: str, seconds: str) -> tuple[int, float]:
                worker.stdin.write(f"{session_id} {seconds}\n")  # type: ignore[union-attr]
                worker.stdin.flush()  # type: ignore[union-attr]
                code, took = worker.stdout.readline().split()  # type: ignore[union-attr]
                return int(code), float(took)

            yield attempt
            worker.stdin.close()
            worker.wait(30)


def said(messages: Sequence[Any]) -> list[str]:
    return [str(message.get("content")) for message in messages if message["role"] == "assistant"]


EXPECTED = ["done 0: 0 100.", "done 1: 1 121.", "done 2: 4 144."]


def test_killed_at_any_moment_a_session_opens_is_valid_and_comes_to_the_same_end(tmp_path: Path, attempt: Try) -> None:
    chance = random.Random(20261120)
    attempt("new", "never")  # the first one makes the file, and is slower
    code, whole_s = attempt("new", "never")
    assert code == 0
    states: Counter[str] = Counter()
    wanted = {"unanswered", "in a request", "between requests"} if KILLS >= 30 else set[str]()
    session_id, kills, before = "new", 0, 0
    with SessionDatabase(tmp_path / "sessions.db") as sessions:
        known = {info.id for info in sessions.list()}
        while kills < KILLS or (not wanted <= set(states) and kills < 20 * KILLS):
            code, took_s = attempt(session_id, str(chance.uniform(0, whole_s)))
            assert code in (0, -9), "it can always be taken up"
            kills += code == -9
            whole_s = took_s if code == 0 and session_id == "new" else whole_s * 1.1  # the machine may be busier now
            new = {info.id for info in sessions.list()} - known
            if not new:
                continue  # killed before its first request was saved
            (session_id,) = new
            stored = sessions.read(session_id)
            messages = [each.message for each in stored.messages]
            recovered = recover(messages, stored.run_start, stored.partial)
            assert_valid(messages)
            assert_valid([*recovered.messages, {"role": "user", "content": "and?"}])
            answers = [text for text in said(recovered.messages) if text in EXPECTED]
            assert answers == EXPECTED[: len(answers)], "each answer is there once, in order"
            assert len(answers) >= before, "what was complete stays"
            before = len(answers)
            states[state_of(stored, bool(recovered.unanswered), recovered.interrupted)] += 1
            if code == 0:
                assert answers == EXPECTED
                known.add(session_id)
                session_id, before = "new", 0
        if session_id != "new":
            assert attempt(session_id, "never")[0] == 0
            stored = sessions.read(session_id)
            end = recover([each.message for each in stored.messages], stored.run_start, stored.partial).messages
            assert [text for text in said(end) if text in EXPECTED] == EXPECTED
    with sqlite3.connect(tmp_path / "sessions.db") as raw_file:
        assert raw_file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    print(dict(states))
    assert wanted <= set(states), states


def state_of(stored: StoredSession, unanswered: bool, interrupted: bool) -> str:
    """Where it was killed, as far as that can be seen."""
    if unanswered:
        return "unanswered"
    if stored.partial:
        return "in an answer"
    return "in a request" if interrupted else "between requests"
