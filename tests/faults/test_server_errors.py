"""Servers that misbehave: each gets one clear error or is put up with, and none takes anything else along."""

from __future__ import annotations

import asyncio
import itertools
import logging
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_peer import HTTPPeer
from tests.support.mcp_servers import bad_server, bad_server_over, no_model
from tests.support.processes import Mark
from tiny_agents.errors import ServerConnectionError, ServerTimeoutError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.transports import http_client, process, stdio

pytestmark = [pytest.mark.anyio, pytest.mark.promise("no hang")]


def names(client: MCPClient) -> list[str]:
    return [tool.function.name for tool in client.available_tools]


async def refused(parameters: dict[str, Any], **options: Any) -> ServerConnectionError:
    """The error with which adding this server fails; nothing of it is left afterwards, and another one still works."""
    async with asyncio.timeout(30), no_model(**options) as client:
        with pytest.raises(ServerConnectionError) as caught:
            await client.add_mcp_server(**parameters)
        assert not client.connections
        assert client.available_tools == []
        await client.add_mcp_server(**bad_server("well_behaved"))
        assert (await client.call_tool("ping")).text == "pong"
        return caught.value


# ---------------------------------------------------------------- starting


async def test_a_command_that_does_not_exist() -> None:
    error = await refused({"type": "stdio", "command": "no-such-command-here"})
    assert str(error) == (
        "MCP server 'no-such-command-here' could not be started: the command 'no-such-command-here' was not found. "
        "Install it, or give its full path."
    )
    assert error.server == "no-such-command-here"


async def test_a_command_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no program")
    error = await refused({"type": "stdio", "command": str(tmp_path / "notes")})
    assert "may not be executed (permission denied)" in str(error)


async def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    error = await refused(bad_server("well_behaved", cwd=tmp_path / "gone", name="x"))
    assert str(error) == (
        f"MCP server 'x' could not be started: the working directory '{tmp_path / 'gone'}' does not exist"
    )


async def test_a_server_that_exits_at_once_is_quoted_without_its_secrets() -> None:
    error = await refused(bad_server("exits_at_start", env={"NAME": "settings-of-mine"}))
    first, *quoted = str(error).splitlines()
    assert first == "MCP server 'exits_at_start' exited with status 3 before it was ready."
    assert quoted == [
        "The end of its standard error:",
        "  reading the configuration",
        "  fatal: no such key *** in settings",
    ]
    assert error.stderr_tail == "reading the configuration\nfatal: no such key *** in settings\n"


async def test_a_server_that_is_killed_at_start() -> None:
    script = "import os, signal, sys; sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)"
    error = await refused({"type": "stdio", "command": sys.executable, "args": ["-c", script], "name": "short"})
    assert str(error) == "MCP server 'short' was ended by SIGKILL before it was ready."


@pytest.mark.parametrize("behaviour", ["never_answers", "never_lists"])
async def test_a_server_that_never_answers_is_given_up_in_time(behaviour: str) -> None:
    mark = Mark()
    started = time.monotonic()
    error = await refused(bad_server(behaviour, env=mark.env), startup_timeout=0.7)
    assert time.monotonic() - started < 30
    assert f"MCP server '{behaviour}' was not ready within 0.7 s (startup_timeout)" in str(error)
    if sys.platform == "linux":
        await mark.gone()


async def test_a_program_that_is_no_server_is_recognised() -> None:
    error = await refused(bad_server("is_no_server"), startup_timeout=2)
    assert "Its standard output is no MCP; it begins with: 'Welcome to the shell! Type help.'" in str(error)


async def test_a_server_that_cannot_list_its_tools() -> None:
    error = await refused(bad_server("refuses_to_list"))
    assert str(error) == "MCP server 'refuses_to_list' could not be used: the database is locked"


async def test_a_server_whose_list_is_nonsense() -> None:
    error = await refused(bad_server("lists_nonsense"))
    assert "its list of tools is not valid MCP: tools: is missing" in str(error)


# ---------------------------------------------------------------- output


async def test_garbage_on_standard_output_is_skipped() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("writes_garbage"))
        assert (await client.call_tool("ping")).text == "pong"
        assert (await client.call_tool("ping")).text == "pong"


def test_garbage_and_chatter_leave_the_terminal_alone() -> None:
    """In a process of its own, because what matters is what is written without any logging configured."""
    program = """
        import asyncio
        from tests.support.mcp_servers import bad_server, no_model

        async def main():
            async with no_model() as client:
                for behaviour in ("writes_garbage", "floods_stderr", "writes_bad_text"):
                    await client.add_mcp_server(**bad_server(behaviour))
                for tool in client.available_tools:
                    if tool.function.name.endswith("ping"):
                        await client.call_tool(tool.function.name)
                await asyncio.gather(client.call_tool("leave"), return_exceptions=True)

        asyncio.run(main())
    """
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        cwd=root,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


async def test_bad_characters_cost_themselves_and_not_the_answer() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("writes_bad_text"))
        result = await client.call_tool("ping")
        assert result.text == "caf\ufffd \ufffd 😀"
        result.text.encode()


async def test_ten_megabytes_of_standard_error_do_not_block_a_server() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("floods_stderr"))
        assert (await client.call_tool("ping")).text == "pong"
        with pytest.raises(ServerConnectionError) as caught:
            await asyncio.gather(client.call_tool("ping"), client.connections["floods_stderr"].close())
        assert len(caught.value.stderr_tail) <= process.STDERR_BYTES
        assert "noise" in caught.value.stderr_tail


async def test_an_answer_that_is_too_long_fails_its_own_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "LineSplitter", lambda: process.LineSplitter(1_000_000))
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("answers_too_much", "3000000"))
        for tool in ("ping", "leave"):  # its id in front of the answer, and behind it
            result = await client.call_tool(tool)
            assert result.is_error
            assert "the answer is too long: 3,000,0" in result.text
        assert client.connections["answers_too_much"].state == "ready"


# ---------------------------------------------------------------- tools


async def test_all_pages_of_tools_are_read() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("has_pages", "30"))
        assert names(client) == [f"tool_{number}" for number in range(30)]


@pytest.mark.parametrize(
    ("parameters", "count"),
    [(bad_server("repeats_a_cursor"), 2), (bad_server("has_pages", "1000000"), 1000)],
    ids=["repeated", "endless"],
)
async def test_a_list_without_an_end_is_cut(
    parameters: dict[str, Any], count: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(30), no_model() as client:
        with caplog.at_level(logging.WARNING, logger="tiny_agents"):
            await client.add_mcp_server(**parameters)
        assert len(names(client)) == count
        assert "its list of tools does not end" in caplog.text


async def test_odd_names_can_all_be_called() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("has_odd_tools", name="odd"))
        offered = names(client)
        assert offered[:2] == ["odd__files_read", "files_read"]
        assert len(set(offered)) == len(offered) == 6
        called = [(await client.call_tool(name)).text for name in offered]
        assert called == ["files.read", "files_read", "поиск", "x" * 100, "task_complete", "ping"]
        assert client.available_tools[0].function.description == "Reads. hidden"
        assert client.available_tools[0].function.parameters == {"type": "object", "properties": {}}


async def test_errors_of_the_server_are_told_from_those_of_the_connection() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("uses_our_numbers"))
        for tool in ("ping", "leave"):
            result = await client.call_tool(tool)
            assert (result.is_error, result.text) == (True, "no such record")
        assert client.connections["uses_our_numbers"].state == "ready"


async def test_an_answer_that_is_no_result_is_an_error_result() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("answers_nonsense"))
        result = await client.call_tool("ping")
        assert result.is_error
        assert "the server's answer is not valid MCP: content" in result.text
        assert client.connections["answers_nonsense"].state == "ready"


@pytest.mark.parametrize("kind", ["stdio", "http", "json", "sse"])
async def test_an_answer_of_nothing_is_an_error_at_once(kind: str) -> None:
    with bad_server_over(kind, "answers_null") as parameters:
        async with asyncio.timeout(30), no_model() as client:
            await client.add_mcp_server(**parameters)
            result = await client.call_tool("ping")
            assert result.is_error
            assert result.text.startswith("the server's answer is not valid MCP")
            assert client.connections["answers_null"].state == "ready"


async def test_an_answer_whose_id_has_a_fraction_is_still_the_answer() -> None:
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("answers_with_a_fraction"))
        assert (await client.call_tool("ping")).text == "pong"


async def test_a_server_that_stops_reading_is_not_waited_for() -> None:
    async with asyncio.timeout(30), no_model(tool_timeout=0.3) as client:
        await client.add_mcp_server(**bad_server("stops_reading"))
        with pytest.raises(ServerTimeoutError):
            await client.call_tool("ping", {"text": "x" * 1_000_000})


# ---------------------------------------------------------------- remote


def url(peer: HTTPPeer) -> str:
    return f"{peer.url}/mcp"


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_an_address_where_nobody_listens(kind: str) -> None:
    error = await refused({"type": kind, "url": "http://127.0.0.1:1/mcp?key=secret", "name": "far"})
    assert str(error).startswith("MCP server 'far' could not be reached at http://127.0.0.1:1/mcp: ")
    assert "Is it running, and is the URL right?" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("kind", ["http", "sse"])
@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, "refused access to {url} (HTTP 401): give it credentials"),
        (403, "refused access to {url} (HTTP 403)"),
        (404, "offers no MCP at {url} (HTTP 404): check the URL;"),
        (500, "is not available: {url} answered HTTP 500"),
    ],
)
async def test_a_server_that_answers_with_a_status(kind: str, status: int, expected: str) -> None:
    with HTTPPeer(lambda request: status) as peer:
        headers = {"Authorization": "Bearer secret-token"}
        error = await refused({"type": kind, "url": url(peer), "name": "far", "headers": headers})
    assert str(error).startswith(f"MCP server 'far' {expected.format(url=url(peer))}")
    assert "secret-token" not in str(error)
    assert peer.requests[0].headers["authorization"] == "Bearer secret-token"


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"event: endpoint\ndata: http://127.0.0.1:2/collect\n\n", "to another host, http://127.0.0.1:2"),
        (b"event: ping\ndata: x\n\n", "it ended its stream of events at once"),
    ],
)
async def test_an_event_stream_that_cannot_be_trusted_is_refused_at_once(stream: bytes, expected: str) -> None:
    with HTTPPeer(lambda request: (200, {"content-type": "text/event-stream"}, stream)) as peer:
        error = await refused({"type": "sse", "url": url(peer), "name": "far", "headers": {"X-Key": "k"}})
    assert expected in str(error)
    assert [request.method for request in peer.requests] == ["GET"]


async def test_a_page_that_is_no_event_stream() -> None:
    with HTTPPeer(lambda request: (200, {"content-type": "text/html"}, b"<html>")) as peer:
        error = await refused({"type": "sse", "url": url(peer), "name": "page"})
        assert "it sends no events: Expected response with content type 'text/event-stream', got 'text/html'" in str(
            error
        )
        error = await refused({"type": "http", "url": url(peer), "name": "page"})
        assert "MCP server 'page' could not be used: the server answered with text/html, which is no MCP" in str(error)


async def test_a_remote_answer_that_is_too_long_fails_its_own_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "MAX_ANSWER_BYTES", 100_000)
    with HTTPPeer.legacy_mcp() as peer:
        async with asyncio.timeout(30), no_model() as client:
            await client.add_mcp_server("http", url=url(peer), name="old")
            result = await client.call_tool("long")
            assert (result.is_error, result.text) == (True, "the answer is too long: at most 100,000 bytes are read")
            assert (await client.call_tool("count")).text == "1"


async def test_a_remote_server_that_never_answers_is_given_up_in_time() -> None:
    with HTTPPeer(lambda request: "stall") as peer:
        error = await refused({"type": "http", "url": url(peer), "name": "slow"}, startup_timeout=0.5)
    assert "MCP server 'slow' was not ready within 0.5 s" in str(error)


async def test_a_session_that_the_server_has_ended_is_opened_again_and_the_call_made() -> None:
    with HTTPPeer.legacy_mcp() as peer:
        async with asyncio.timeout(30), no_model() as client:
            await client.add_mcp_server("http", url=url(peer), name="old")
            assert (await client.call_tool("count")).text == "1"
            peer.forget_sessions()
            assert (await client.call_tool("count")).text == "2"
            assert client.connections["old"].state == "ready"


async def test_a_remote_error_without_json_is_put_into_words() -> None:
    with HTTPPeer.legacy_mcp() as peer:
        async with asyncio.timeout(30), no_model() as client:
            await client.add_mcp_server("http", url=url(peer), name="old")
            result = await client.call_tool("status_503")
            assert (result.is_error, result.text) == (True, "the server answered HTTP 503 Service Unavailable")
            result = await client.call_tool("rpc_error")
            assert (result.is_error, result.text) == (True, "no such table")
            assert client.connections["old"].state == "ready"


async def test_a_remote_server_that_breaks_off_during_a_call_may_have_run_it() -> None:
    with HTTPPeer.legacy_mcp() as peer:
        async with asyncio.timeout(30), no_model() as client:
            await client.add_mcp_server("http", url=url(peer), name="old")
            with pytest.raises(ServerConnectionError, match="during the call of 'reset'. The call may have run."):
                await client.call_tool("reset")
            assert (await client.call_tool("count")).text == "1"


# ---------------------------------------------------------------- leaving


async def test_no_process_outlives_its_connection() -> None:
    mark = Mark()
    async with asyncio.timeout(30):
        async with no_model() as client:
            for behaviour in ("is_stubborn", "leaves_a_child", "dies_with_its_output_held"):
                await client.add_mcp_server(**bad_server(behaviour, env=mark.env))
            await mark.running(6)
            started = time.monotonic()
        assert time.monotonic() - started < 9.5  # after 10 s it would be cancelled
        await mark.gone()


async def test_the_death_of_a_server_is_seen_while_a_child_holds_its_output() -> None:
    mark = Mark()
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("dies_with_its_output_held", env=mark.env))
        with pytest.raises(ServerConnectionError, match="exited with status 5 during the call of 'leave'"):
            await client.call_tool("leave")
        await mark.gone()


PROGRAMS: dict[str, Callable[[str], str]] = {
    "the event loop ends without clean-up": lambda parameters: (
        f"""
        client = no_model()
        async def main():
            await client.add_mcp_server(**{parameters})
        asyncio.run(main())
    """
    ),
    "an exception leaves the program": lambda parameters: (
        f"""
        async def main():
            await no_model().add_mcp_server(**{parameters})
            raise SystemExit(0)
        asyncio.run(main())
    """
    ),
    "the loop is dropped": lambda parameters: (
        f"""
        client = no_model()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.add_mcp_server(**{parameters}))
    """
    ),
    "the interpreter leaves in the middle": lambda parameters: (
        f"""
        async def main():
            await no_model().add_mcp_server(**{parameters})
            raise KeyboardInterrupt
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            pass
    """
    ),
}


async def test_no_process_outlives_the_program() -> None:
    async def outlives(ending: str, behaviour: str) -> None:
        mark = Mark()
        setup = "import asyncio\nfrom tests.support.mcp_servers import no_model\n"
        program = setup + textwrap.dedent(PROGRAMS[ending](repr(bad_server(behaviour, env=mark.env))))
        run = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=Path(__file__).parents[2])
        assert await run.wait() == 0, ending
        await mark.gone()

    async with asyncio.timeout(180), asyncio.TaskGroup() as all_at_once:
        for ending, behaviour in zip(PROGRAMS, itertools.cycle(["is_stubborn", "leaves_a_child"]), strict=False):
            all_at_once.create_task(outlives(ending, behaviour))
