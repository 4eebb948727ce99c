"""Real servers over stdio, streamable http and sse: every kind of result, headers, environment, concurrency, time limits."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.http_peer import Answer, HTTPPeer, Recorded
from tests.support.mcp_servers import TIME_SERVER, RemoteServer, bad_server, no_model, remote_server, stdio_server
from tests.support.ports import free_port
from tiny_agents.errors import ServerTimeoutError, UsageError
from tiny_agents.mcp_client.client import MCPClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture(scope="module")
def http() -> Iterator[RemoteServer]:
    with remote_server("http") as server:
        yield server


@pytest.fixture(scope="module")
def sse() -> Iterator[RemoteServer]:
    with remote_server("sse") as server:
        yield server


@pytest.fixture(params=["stdio", "http", "sse"])
def server(request: pytest.FixtureRequest) -> dict[str, Any]:
    if request.param == "stdio":
        return stdio_server()
    remote: RemoteServer = request.getfixturevalue(request.param)
    return remote.parameters()


def names(client: MCPClient) -> list[str]:
    return [tool.function.name for tool in client.available_tools]


async def test_every_kind_of_result_over_every_transport(server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server)
        assert (await client.call_tool("add", {"a": 2, "b": 3})).text == "5"
        assert (await client.call_tool("echo", {"text": "grüße\n😀"})).text == "grüße\n😀"
        assert (await client.call_tool("silence")).text == "[No content]"
        assert (await client.call_tool("data")).text == '{"city":"Tōkyō","degrees":21.5}'
        picture = await client.call_tool("picture")
        assert picture.text == "[Binary Content: Image image/png, 70 bytes]"
        assert picture.content[0]["mimeType"] == "image/png"
        assert (await client.call_tool("mixed")).text == "\n".join(
            [
                "first",
                "[Binary Content: Audio audio/wav, 3 bytes]",
                "a memo",
                "[Binary Content (blob://1): application/x-thing, 4 bytes]",
                "[Resource link 'report' (file:///report.pdf, application/pdf)]",
            ]
        )
        failed = await client.call_tool("fail", {"reason": "no paper"})
        assert failed.is_error
        assert "no paper" in failed.text
        wrong = await client.call_tool("add", {"a": "many"})
        assert wrong.is_error
        long = await client.call_tool("long_text", {"characters": 3_000_000})
        assert len(long.content[0]["text"]) == 3_000_000
        assert "first 40,000 of 3,000,000 characters" in long.text


async def test_names_are_cleaned_and_reserved_ones_qualified(http: RemoteServer) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**http.parameters(name="testbed"))
        assert {"add", "files_read", "testbed__task_complete"} <= set(names(client))
        assert (await client.call_tool("files_read", {"text": "x"})).text == "x"
        assert (await client.call_tool("files.read", {"text": "y"})).text == "y"
        assert (await client.call_tool("testbed__task_complete", {"text": "z"})).text == "z"
        with pytest.raises(UsageError, match="there is no tool 'ad'. Did you mean 'add'"):
            await client.call_tool("ad")


async def test_calls_of_one_server_run_at_the_same_time(server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server)
        said = [str(number) for number in range(5)]
        calls = [client.call_tool("meet", {"place": server["type"], "party": 5, "say": word}) for word in said]
        assert [result.text for result in await asyncio.gather(*calls)] == said


async def test_a_call_that_takes_too_long_is_cancelled_at_the_server_and_the_connection_stays(
    server: dict[str, Any],
) -> None:
    async with asyncio.timeout(60), no_model(tool_timeout=0.3) as client:
        await client.add_mcp_server(**server, name="slow")
        with pytest.raises(ServerTimeoutError, match=r"'slow': the tool 'wait' did not finish within 0.3 s") as caught:
            await client.call_tool("wait", {"place": f"timeout {server['type']}"})
        assert (caught.value.server, caught.value.timeout_s) == ("slow", 0.3)
        assert (
            await client.call_tool("was_cancelled", {"place": f"timeout {server['type']}"}, timeout=60)
        ).text == "yes"
        assert client.connections["slow"].state == "ready"


async def test_a_cancelled_caller_cancels_the_call_at_the_server(server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server)
        waiting = asyncio.create_task(client.call_tool("wait", {"place": f"caller {server['type']}"}))
        assert (await client.call_tool("is_waiting", {"place": f"caller {server['type']}"})).text == "yes"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (
            await client.call_tool("was_cancelled", {"place": f"caller {server['type']}"}, timeout=60)
        ).text == "yes"


async def test_a_process_gets_its_own_environment_and_directory_and_not_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "hunter2")
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**stdio_server(env={"GREETING": "hello"}, cwd=tmp_path))
        assert (await client.call_tool("environment", {"name": "GREETING"})).text == "hello"
        assert (await client.call_tool("environment", {"name": "SECRET_OF_THE_HOST"})).text == "(not set)"
        assert (await client.call_tool("environment", {"name": "PATH"})).text != "(not set)"
        assert (await client.call_tool("workdir")).text == str(tmp_path)


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_headers_and_time_limits_are_taken_as_in_huggingface_hub(
    kind: str, request: pytest.FixtureRequest
) -> None:
    remote: RemoteServer = request.getfixturevalue(kind)
    seconds = {"timeout": timedelta(seconds=20), "sse_read_timeout": timedelta(seconds=20)}
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**remote.parameters(headers={"X-Who": "me"}, **seconds))
        assert (await client.call_tool("header", {"name": "x-who"})).text == "me"


async def test_a_key_in_the_url_reaches_the_server_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    with HTTPPeer.legacy_mcp() as old:

        def answer(request: Recorded) -> Answer:  # as frameworks do that want a slash at the end
            path, _, query = request.path.partition("?")
            return (307, {"Location": f"{path}/?{query}"}) if not path.endswith("/") else old._answer(request)

        with HTTPPeer(answer) as peer, caplog.at_level(logging.INFO), caplog.at_level(logging.DEBUG, logger="mcp"):
            url = peer.url.replace("http://", "http://me:pass-word@") + "/mcp?api_key=query-key"
            async with asyncio.timeout(60), no_model() as client:
                await client.add_mcp_server("http", url=url, name="remote", sse_read_timeout=20)
                assert (await client.call_tool("count")).text == "1"
            assert {request.path for request in peer.requests} == {"/mcp?api_key=query-key", "/mcp/?api_key=query-key"}
            assert {request.headers["authorization"] for request in peer.requests} == {"Basic bWU6cGFzcy13b3Jk"}
    assert "HTTP Request: POST" in caplog.text
    assert "query-key" not in caplog.text
    assert "pass-word" not in caplog.text


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_password_in_the_url_is_sent(kind: str, request: pytest.FixtureRequest) -> None:
    remote: RemoteServer = request.getfixturevalue(kind)
    url = remote.parameters()["url"].replace("http://", "http://me:pass-word@") + "?api_key=query-key"
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**remote.parameters(url=url))
        assert (await client.call_tool("header", {"name": "authorization"})).text == "Basic bWU6cGFzcy13b3Jk"


async def test_what_a_server_writes_beside_the_protocol_is_logged_without_its_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="tiny_agents"):
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server(**bad_server("tells_its_key", env={"KEY": "sk-of-the-server"}))
    assert "no MCP message: my key is ***" in caplog.text


async def test_a_server_on_loopback_is_reached_past_any_proxy(
    http: RemoteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**http.parameters())
        assert (await client.call_tool("echo", {"text": "here"})).text == "here"


async def test_only_allowed_tools_are_offered_and_an_unknown_one_is_a_warning(
    http: RemoteServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(60), no_model() as client:
        with caplog.at_level(logging.WARNING, logger="tiny_agents"):
            await client.add_mcp_server(**http.parameters(name="few", allowed_tools=["echo", "ehco"]))
        assert names(client) == ["echo"]
        assert "MCP server 'few' has no tool 'ehco' (allowed_tools); it offers: add, echo" in caplog.text
        with pytest.raises(UsageError, match="no tool 'add'"):
            await client.call_tool("add", {"a": 1, "b": 1})


async def test_servers_with_the_same_tools_stand_side_by_side(http: RemoteServer, sse: RemoteServer) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await asyncio.gather(
            client.add_mcp_server(**http.parameters(name="one", allowed_tools=["pid", "echo"])),
            client.add_mcp_server(**sse.parameters(name="two", allowed_tools=["pid", "echo"])),
        )
        assert names(client) == ["echo", "pid", "two__echo", "two__pid"]
        assert list(client.connections) == ["one", "two"]
        assert (await client.call_tool("pid")).text == str(http.process.pid)
        assert (await client.call_tool("two__pid")).text == str(sse.process.pid)
        with pytest.raises(UsageError, match="there is a server 'one' already"):
            await client.add_mcp_server(**http.parameters(name="one"))


async def test_a_tool_taken_out_of_the_list_stays_out(http: RemoteServer, sse: RemoteServer) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**http.parameters(allowed_tools=["pid", "echo"]))
        client.available_tools = [tool for tool in client.available_tools if tool.function.name != "pid"]
        await client.add_mcp_server(**sse.parameters(name="two", allowed_tools=["pid"]))
        assert names(client) == ["echo", "two__pid"]


async def test_the_time_server_tells_the_time() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**TIME_SERVER)
        assert list(client.connections) == ["time"]
        assert names(client) == ["get_current_time", "convert_time"]
        answer = await client.call_tool("get_current_time", {"timezone": "Asia/Tokyo"})
        assert re.search(r"T\d\d:\d\d:\d\d\+09:00", answer.text)
        wrong = await client.call_tool("get_current_time", {"timezone": "Asia/Toky"})
        assert wrong.is_error
        assert wrong.message.startswith("Error")


async def test_python_is_not_needed_to_find_its_interpreter(tmp_path: Path) -> None:
    async with asyncio.timeout(60), no_model() as client:
        parameters = stdio_server(command=Path(sys.executable).name, env={"PATH": str(Path(sys.executable).parent)})
        await client.add_mcp_server(**parameters, allowed_tools=["echo"])
        assert (await client.call_tool("echo", {"text": "found"})).text == "found"


async def test_an_old_server_is_found_behind_the_type_http_and_again_after_a_restart() -> None:
    async with asyncio.timeout(60), no_model() as client:
        with remote_server("sse", free_port()) as server:
            await client.add_mcp_server("http", url=server.url, name="old", allowed_tools=["pid"])
            assert (await client.call_tool("pid")).text == str(server.process.pid)
        while client.connections["old"].state == "ready":
            await asyncio.sleep(0.01)
        with remote_server("sse", server.port) as again:
            assert (await client.call_tool("pid")).text == str(again.process.pid)
