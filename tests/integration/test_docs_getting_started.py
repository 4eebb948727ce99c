"""docs/getting-started.md, followed from its top to its end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.program import LIMIT_S, environment

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="blocks of a POSIX shell")]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(sh|yaml|python)\n(.*?)```", PAGE, re.DOTALL)


def model(request: Recorded) -> Turn:
    if request.body["messages"][-1]["role"] == "tool":
        return text("It is late in Tokyo.")
    return calls(("get_current_time", {"timezone": "Asia/Tokyo"}))


def test_each_step_works_as_it_is_shown(tmp_path: Path) -> None:
    shown = []
    with OpenAIServer(model) as server:
        env = environment(tmp_path, TINY_AGENTS_BASE_URL=server.url, TINY_AGENTS_MODEL="m")
        env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
        for language, block in BLOCKS:
            if language == "yaml":
                (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block, encoding="utf-8")
                continue
            command = ["sh", "-e", "-c", block] if language == "sh" else [sys.executable, "-c", block]
            done = subprocess.run(
                command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
            )
            assert done.returncode == 0, (block, done.stderr)
            shown.append(done.stdout)
    configured, called, made, started, answered = shown
    assert "gpt-oss:20b" in configured
    assert '"timezone": "Asia/Tokyo"' in called
    assert "agent.yaml" in made
    assert "time: 2 tools" in started
    assert answered == "It is late in Tokyo.\n"
    assert '"timezone"' in str(server.chats[-1]["messages"][-1]["content"])  # the tool was called for it


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)", PAGE))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()
