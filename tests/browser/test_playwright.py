"""A model sees a page in a real browser: @playwright/mcp with a chromium of the system. Run by `make browser`."""

from __future__ import annotations

import asyncio
import base64
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.integration.conftest import serve
from tests.servers.installed import BROWSER_MODULES, needs_node, script
from tests.support.openai_server import calls, text
from tests.support.processes import Mark, linux_only
from tiny_agents import Agent

__all__ = ["serve"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.integration,
    needs_node,
    linux_only,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]

PAGE = """<!doctype html><title>A green page</title><body style="background: rgb(0, 128, 0)">
<h1>Hello</h1>"""


@pytest.fixture
def page(tmp_path: Path) -> Iterator[str]:
    """The address of a page on loopback."""
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


async def test_a_model_sees_the_page_that_it_opened(page: str, serve: Any, tmp_path: Path) -> None:
    model = serve(
        calls(("browser_navigate", {"url": page})),
        calls(("browser_take_screenshot", {})),
        text("It is green."),
    )
    mark = Mark()
    cli = script("@playwright/mcp", "cli.js", BROWSER_MODULES)
    args = [cli, "--headless", "--isolated", "--no-sandbox", "--executable-path", str(CHROMIUM)]
    async with asyncio.timeout(120):
        async with Agent(base_url=model.url, model="m", tool_timeout=60) as agent:
            await agent.add_mcp_server("stdio", command="node", args=args, env=mark.env, cwd=tmp_path)
            async for _ in agent.run("What color is the page?"):
                pass
            assert len(mark.pids()) > 2  # the server, and a browser of several processes
        await mark.gone()

    opened, seen = model.chats[1]["messages"], model.chats[2]["messages"]
    assert "Page Title: A green page" in opened[-1]["content"]
    pictures = [part for part in seen[-1]["content"] if part["type"] == "image_url"]
    assert len(pictures) == 1
    kind, _, data = pictures[0]["image_url"]["url"].partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    picture = Image.open(BytesIO(base64.b64decode(data))).convert("RGB")
    assert picture.getpixel((picture.width - 5, picture.height - 5)) == (0, 128, 0)
    assert agent.messages[-1]["content"] == "It is green."
