"""The rules of a connection that need no server: restarts, names of endings, what importing costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tiny_agents.mcp_client.connection.life import MAX_CALL_S, RESTART_DELAYS_S, RESTART_REST_S, deadline, restart_delay
from tiny_agents.mcp_client.connection.servers import HttpServer, Server, SseServer, StdioServer
from tiny_agents.mcp_client.connection.startup import start_problem, with_stderr
from tiny_agents.mcp_client.connection.watch import Watch


@pytest.mark.parametrize(
    ("restarts", "since_last_s", "delay_s"),
    [
        (0, 0.0, RESTART_DELAYS_S[0]),
        (1, 0.0, RESTART_DELAYS_S[1]),
        (2, 1e6, RESTART_DELAYS_S[2]),
        (3, 0.0, None),
        (3, RESTART_REST_S - 1, None),
        (3, RESTART_REST_S, 0.0),
        (50, RESTART_REST_S + 1, 0.0),
    ],
)
def test_a_server_that_keeps_going_away_is_started_ever_later_and_then_left_alone(
    restarts: int, since_last_s: float, delay_s: float | None
) -> None:
    assert restart_delay(restarts, since_last_s) == delay_s


@pytest.mark.parametrize(
    ("restarts", "since_last_s", "most", "delay_s"),
    [
        (0, 1e6, 0, None),
        (0, 0.0, 1, RESTART_DELAYS_S[0]),
        (1, 0.0, 1, None),
        (1, RESTART_REST_S, 1, 0.0),
        (9, 0.0, 10, RESTART_DELAYS_S[2]),
    ],
)
def test_how_often_a_server_is_started_again_may_be_said(
    restarts: int, since_last_s: float, most: int, delay_s: float | None
) -> None:
    assert restart_delay(restarts, since_last_s, most) == delay_s


@pytest.mark.parametrize(
    ("now", "limit_s", "end"),
    [
        (1000.0, 60, 1060.0),
        (1059.0, 60, 1119.0),
        (1000.0 + MAX_CALL_S - 1, 60, 1000.0 + MAX_CALL_S),
        (1500.0, MAX_CALL_S * 2, 1000.0 + MAX_CALL_S * 2),
    ],
)
def test_progress_prolongs_a_call_but_not_for_ever(now: float, limit_s: float, end: float) -> None:
    assert deadline(1000.0, now, limit_s) == end


NOT_FOUND = FileNotFoundError(2, "No such file or directory")
HTTP = HttpServer("http://user:secret@127.0.0.1:9/mcp?key=secret")


@pytest.mark.parametrize(
    ("server", "facts", "error", "expected"),
    [
        (StdioServer("npx"), {}, NOT_FOUND, "'npx' was not found. Install it (it comes with Node.js, https://nodejs.org)"),
        (StdioServer("x"), {}, NOT_FOUND, "the command 'x' was not found. Install it, or give its full path."),
        (StdioServer("/x"), {}, PermissionError(13, "Permission denied"), "'/x' may not be executed"),
        (StdioServer("x"), {}, OSError(8, "Exec format error"), "with the command 'x': [Errno 8] Exec format error"),
        (HTTP, {"trouble": "refused"}, None, "could not be reached at http://127.0.0.1:9/mcp: refused. Is it running"),
        (HTTP, {"status": 401}, ValueError("x"), "refused access to http://127.0.0.1:9/mcp (HTTP 401): give it credentials"),
        (HTTP, {"status": 404}, None, "offers no MCP at http://127.0.0.1:9/mcp (HTTP 404): check the URL"),
        (HTTP, {"status": 405}, None, "the older HTTP+SSE isn't there either"),
        (SseServer("http://h/sse"), {"status": 405}, None, "it may be of the type 'http'"),
        (HTTP, {"status": 503}, None, "answered HTTP 503. Try again later."),
        (HTTP, {"status": 400}, None, "answered HTTP 400."),
        (HTTP, {}, ExceptionGroup("g", [ExceptionGroup("h", [ValueError("odd")])]), "could not be used: odd"),
        (HTTP, {"how": "closed the connection"}, None, "closed the connection before it was ready."),
    ],
)  # fmt: skip
def test_what_kept_a_server_from_starting_is_said_with_what_to_do(
    server: Server, facts: dict[str, object], error: Exception | None, expected: str
) -> None:
    watch = Watch(on_lost=lambda: None)
    for name, value in facts.items():
        setattr(watch, name, value)
    problem = start_problem(server, watch, error)
    assert expected in problem
    assert "secret" not in problem


def test_standard_error_is_quoted_at_the_end() -> None:
    assert with_stderr("It broke.", "") == "It broke."
    assert with_stderr("It broke.", "one\n\ntwo\n") == "It broke.\nThe end of its standard error:\n  one\n  two"


def test_the_first_reason_for_a_loss_counts() -> None:
    calls: list[str] = []
    watch = Watch(on_lost=lambda: calls.append("lost"))
    watch.lose("exited with status 1")
    watch.lose("closed the connection")
    assert (watch.how, calls) == ("exited with status 1", ["lost"])


def test_importing_the_client_does_not_import_the_sdk() -> None:
    code = (
        "import sys, tiny_agents.mcp_client.client; print(sorted({'mcp', 'mcp_types', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
