"""Servers from the Python package index, each in an environment of its own and of its own time."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.servers.installed import python_program
from tests.support.hosts import RecordingHost
from tests.support.mcp_servers import no_model
from tests.support.openai_server import calls, text
from tests.support.processes import Mark, linux_only
from tiny_agents import MCPClient, ServerLog, ToolProgress

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def server(environment: str, *args: str, **more: Any) -> dict[str, Any]:
    name = f"mcp-server-{environment}"
    return {"type": "stdio", "command": python_program(environment, name), "args": list(args), **more}


def names(client: MCPClient) -> set[str]:
    return {tool.function.name for tool in client.available_tools}


async def test_the_time_is_told() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server("time"))
        assert list(client.connections) == ["time"]
        answer = await client.call_tool("get_current_time", {"timezone": "Asia/Tokyo"})
        assert re.search(r"T\d\d:\d\d:\d\d\+09:00", answer.text)
        assert (await client.call_tool("get_current_time", {"timezone": "Asia/Toky"})).is_error


async def test_a_repository_is_looked_at_and_committed_to(tmp_path: Path) -> None:
    def git(*args: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
        command = ["git", "-C", str(tmp_path), *identity, *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet", "--initial-branch", "main")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.com")
    git("commit", "--quiet", "--allow-empty", "--message", "the beginning")
    where = {"repo_path": str(tmp_path)}
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**server("git", "--repository", str(tmp_path)))
        (tmp_path / "notes.txt").write_text("first line\n", encoding="utf-8")
        assert "notes.txt" in (await client.call_tool("git_status", where)).text
        await client.call_tool("git_add", {**where, "files": ["notes.txt"]})
        committed = await client.call_tool("git_commit", {**where, "message": "take notes"})
        assert not committed.is_error, committed.text
        assert git("log", "-1", "--format=%s").strip() == "take notes"
        assert "the beginning" in (await client.call_tool("git_log", where)).text
        elsewhere = await client.call_tool("git_status", {"repo_path": str(tmp_path.parent)})
        assert elsewhere.is_error


@linux_only
async def test_a_server_of_the_old_sdk_keeps_a_database(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """It knows nothing of the newest protocol, and answers the question for it with pages of complaints."""
    mark = Mark()
    async with asyncio.timeout(60):
        async with no_model() as client:
            await client.add_mcp_server(**server("sqlite", "--db-path", str(tmp_path / "a.db"), env=mark.env))
            create = "CREATE TABLE town (name TEXT, people INTEGER)"
            assert not (await client.call_tool("create_table", {"query": create})).is_error
            await client.call_tool("write_query", {"query": "INSERT INTO town VALUES ('Tōkyō', 14000000)"})
            read = await client.call_tool("read_query", {"query": "SELECT * FROM town"})
            assert read.text == "[{'name': 'Tōkyō', 'people': 14000000}]"
            wrong = await client.call_tool("read_query", {"query": "SELECT * FROM village"})
            assert "no such table: village" in wrong.text
            assert (await client.call_tool("list_tables")).text == "[{'name': 'town'}]"
        await mark.gone()
    assert capfd.readouterr() == ("", "")


# ---------------------------------------------------------------- fastmcp, over three transports


async def test_results_of_a_fastmcp_server(fastmcp_server: dict[str, Any]) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**fastmcp_server)
        weather = await client.call_tool("weather", {"city": "Tōkyō"})
        assert weather.structured_content == {"city": "Tōkyō", "degrees": 21.5}
        assert weather.text == '{"city":"Tōkyō","degrees":21.5}'
        assert (await client.call_tool("picture")).text == "[Binary Content: Image image/png, 70 bytes]"
        failed = await client.call_tool("fail")
        assert (failed.is_error, failed.text) == (True, "no paper")
        assert (await client.call_tool("weather")).is_error


async def test_progress_and_logs_of_a_fastmcp_server(fastmcp_server: dict[str, Any], serve: Any) -> None:
    model = serve(calls(("work", {"steps": 2})), text("done"))
    async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m") as client:
        await client.add_mcp_server(**fastmcp_server)
        messages: list[Any] = [{"role": "user", "content": "Work."}]
        seen = [item async for item in client.process_single_turn_with_tools(messages, events=True)]
    assert [(item.done, item.message) for item in seen if isinstance(item, ToolProgress)] == [
        (1, "step 1"),
        (2, "step 2"),
    ]
    assert any(isinstance(item, ServerLog) and "paper is low" in str(item.data) for item in seen)


async def test_a_form_of_a_fastmcp_server(fastmcp_server: dict[str, Any]) -> None:
    """It asks in the middle of a call, which the newest protocol doesn't have any more."""
    host = RecordingHost(content={"color": "red"})
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(**fastmcp_server, protocol="legacy")
        assert (await client.call_tool("order")).text == "accept Order(color='red', size=3)"


async def test_new_tools_of_a_fastmcp_server_are_offered(fastmcp_server: dict[str, Any]) -> None:
    word = f"learned_{fastmcp_server['type']}"
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**fastmcp_server)
        assert word not in names(client)
        await client.call_tool("learn", {"word": word})
        while word not in names(client):
            await asyncio.sleep(0.01)
        assert (await client.call_tool(word)).text == word
