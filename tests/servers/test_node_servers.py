"""Servers for Node that people use every day."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.servers.installed import FOLDER, needs_node, script
from tests.support.hosts import RecordingHost
from tests.support.mcp_server import PIXEL
from tests.support.mcp_servers import no_model
from tests.support.processes import Mark, linux_only
from tiny_agents import MCPClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration, needs_node]


def filesystem(*folders: Path, **more: Any) -> dict[str, Any]:
    args = [script("@modelcontextprotocol/server-filesystem"), *map(str, folders)]
    return {"type": "stdio", "command": "node", "args": args, "name": "files", **more}


def memory(file: Path, **more: Any) -> dict[str, Any]:
    args = [script("@modelcontextprotocol/server-memory")]
    env = {"MEMORY_FILE_PATH": str(file), **more.pop("env", {})}
    return {"type": "stdio", "command": "node", "args": args, "name": "memory", "env": env, **more}


async def test_files_are_written_read_and_shown(tmp_path: Path) -> None:
    (tmp_path / "pixel.png").write_bytes(PIXEL)
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**filesystem(tmp_path))
        written = await client.call_tool("write_file", {"path": str(tmp_path / "a.txt"), "content": "grüße\n"})
        assert not written.is_error
        assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "grüße\n"
        read = await client.call_tool("read_text_file", {"path": str(tmp_path / "a.txt")})
        assert read.text == "grüße\n"
        listed = await client.call_tool("list_directory", {"path": str(tmp_path)})
        assert sorted(listed.text.splitlines()) == ["[FILE] a.txt", "[FILE] pixel.png"]
        shown = await client.call_tool("read_media_file", {"path": str(tmp_path / "pixel.png")})
        assert base64.b64decode(shown.content[0]["data"]) == PIXEL
        assert shown.content[0]["mimeType"] == "image/png"
        outside = await client.call_tool("read_text_file", {"path": "/etc/passwd"})
        assert outside.is_error
        assert "Access denied" in outside.text


async def test_the_folders_of_the_host_are_those_it_may_use(tmp_path: Path) -> None:
    granted, mentioned = tmp_path / "granted", tmp_path / "mentioned"
    granted.mkdir()
    mentioned.mkdir()
    (granted / "a.txt").write_text("here", encoding="utf-8")
    async with asyncio.timeout(60), no_model(host=RecordingHost(folders=[granted])) as client:
        await client.add_mcp_server(**filesystem(mentioned))
        while str(granted) not in (await client.call_tool("list_allowed_directories")).text:
            await asyncio.sleep(0.01)  # it asks for them once the session has begun
        assert (await client.call_tool("read_text_file", {"path": str(granted / "a.txt")})).text == "here"


@linux_only
async def test_a_memory_outlives_its_server(tmp_path: Path) -> None:
    mark = Mark()
    ada = {"name": "Ada", "entityType": "person", "observations": ["likes engines"]}
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**memory(tmp_path / "memory.jsonl", env=mark.env))
        assert not (await client.call_tool("create_entities", {"entities": [ada]})).is_error
        (pid,) = mark.pids()
        os.kill(pid, signal.SIGKILL)
        while client.connections["memory"].state == "ready":
            await asyncio.sleep(0.01)
        found = await client.call_tool("search_nodes", {"query": "engines"})
        assert json.loads(found.content[0]["text"])["entities"] == [ada]
        assert mark.pids() != [pid]
    await mark.gone()


@linux_only
async def test_nothing_is_left_of_a_server_that_npx_started(tmp_path: Path) -> None:
    """npx starts a shell that starts the server, as most people's configuration has it."""
    mark = Mark()
    script("@modelcontextprotocol/server-memory")
    args = ["--offline", "--no", "mcp-server-memory"]
    env = {"MEMORY_FILE_PATH": str(tmp_path / "memory.jsonl"), **mark.env}
    async with asyncio.timeout(60):
        async with no_model() as client:
            await client.add_mcp_server("stdio", command="npx", args=args, env=env, cwd=FOLDER / "node")
            assert len(mark.pids()) >= 2
            await read_graph(client)
        await mark.gone()


@linux_only
@pytest.mark.skipif(shutil.which("uvx") is None, reason="there is no uvx on the PATH")
async def test_nothing_is_left_of_a_server_that_uvx_started() -> None:
    """It downloads the server first, if need be; where it finds the authorities to trust is for its environment to say."""
    mark = Mark()
    trusted = {name: os.environ[name] for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    async with asyncio.timeout(120):
        async with no_model(startup_timeout=100) as client:
            env = {**trusted, **mark.env}
            await client.add_mcp_server("stdio", command="uvx", args=["mcp-server-time"], env=env)
            assert "Asia/Tokyo" in (await client.call_tool("get_current_time", {"timezone": "Asia/Tokyo"})).text
        await mark.gone()


async def read_graph(client: MCPClient) -> None:
    graph = await client.call_tool("read_graph")
    assert json.loads(graph.content[0]["text"]) == {"entities": [], "relations": []}
