"""What a notebook has saved, opened in a real browser: it shows what it should, and nothing runs. Run by `make browser`."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.mcp_servers import stdio_server
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on the PATH"),
]

TABLE = "| city | height |\n|---|---:|\n| Oslo | 23 m |\n| Rome | 21 m |\n\nIn short: **Oslo**, by `2 m`."
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> [go](javascript:alert(1))"

TOOL = f"""
await agent.add_mcp_server(**{stdio_server(name="box")!r})
await show(agent.run("Draw something."))
await show(agent.run("Be evil."))
"""


def respond(request: Recorded) -> Turn:
    messages = request.body["messages"]
    asked = str(messages[-1]["content"])
    if asked == "Draw something.":
        return calls(("picture", {}), content="I draw a dot.")
    if asked == "Be evil.":
        return text(EVIL)
    return text(TABLE)


def test_a_saved_notebook_shows_text_tables_calls_and_pictures_and_runs_nothing(tmp_path: Path) -> None:
    notebooks = pytest.importorskip("tests.support.notebooks", reason="needs nbclient", exc_type=ImportError)
    with OpenAIServer(respond) as model:
        notebook = notebooks.executed("notebook.md", tmp_path, model.url, TOOL)
    page = tmp_path / "page.html"
    page.write_text("<!doctype html><title>fine</title>\n" + "\n".join(notebooks.shown(notebook)), encoding="utf-8")
    screenshot = tmp_path / "page.png"
    dom = subprocess.run(
        [
            str(CHROMIUM),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=900,1600",
            f"--screenshot={screenshot}",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert "<title>fine</title>" in dom
    assert "<strong>Oslo</strong>" in dom
    assert re.search(r"<td[^>]*>23 m</td>", dom)
    assert "<details" in dom
    assert "picture" in dom
    assert re.search(r'<img[^>]*src="data:image/png;base64,', dom)
    assert "&lt;script&gt;" in dom
    assert "<script" not in dom
    assert 'href="javascript' not in dom
    assert screenshot.stat().st_size > 10_000
