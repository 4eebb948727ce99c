"""fast-agent, with its provider for other OpenAI-compatible servers."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.clients import Run, Setting

PACKAGES = ("fast-agent-mcp", "openai", "mcp")
SHOWN = ("progress_display", "show_chat", "show_tools")
"""What it would write to the terminal."""


@asynccontextmanager
async def open_agent(setting: Setting) -> AsyncIterator[Run]:
    assert not setting.history, "it isn't told of earlier messages"
    from fast_agent import FastAgent

    with tempfile.TemporaryDirectory() as home:
        config, servers = _config(setting, home)
        fast = FastAgent("bench", config_path=config, parse_cli_args=False, quiet=True, home=home, isolated=True)

        @fast.agent(name="bench", instruction="", servers=servers, model="generic.m")
        async def bench() -> None: ...

        async with fast.run() as app:
            # the model calls the tools by the names that it is told
            yield lambda prompt: _run(app.bench, prompt.replace("tool=", "tool=bench__"))


def _config(setting: Setting, home: str) -> tuple[str, list[str]]:
    """The path of a configuration, and the names of the servers in it."""
    server = setting.server
    servers: dict[str, Any] = {}
    if server is not None and server.kind == "stdio":
        servers = {"bench": {"command": server.command[0], "args": list(server.command[1:])}}
    elif server is not None:
        servers = {"bench": {"transport": "http", "url": server.url}}
    settings = {
        "generic": {"base_url": setting.model_url, "api_key": "none"},
        "mcp": {"servers": servers},
        "logger": {"type": "none", "streaming": "none", **dict.fromkeys(SHOWN, False)},
    }
    config = Path(home, "fast-agent.yaml")
    config.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
    return str(config), list(servers)


async def _run(agent: Any, prompt: str) -> AsyncIterator[Any]:
    """What its listeners are told as it comes, and the answer."""
    came: asyncio.Queue[Any] = asyncio.Queue()
    remove = agent.add_stream_listener(came.put_nowait)
    task = asyncio.create_task(agent.send(prompt))
    task.add_done_callback(came.put_nowait)
    try:
        while (thing := await came.get()) is not task:
            yield thing
        yield task.result()
    finally:
        remove()
