"""What docs/observability.md shows, runs: all blocks in order, against a scripted model."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE)
COUNTED: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}


def answer(request: Recorded) -> Turn:
    """A model that adds with a tool."""
    last = request.body["messages"][-1]
    said = calls(("add", {"a": 1, "b": 2})) if "1 + 2" in str(last["content"]) else text("It is 3.")
    return Turn([*said.events, COUNTED], said.message)


def test_every_block_of_the_page_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    assert len(BLOCKS) == 3
    with OpenAIServer(answer) as model:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "tests.support.run_blocks"],
            input=json.dumps([source.replace("http://localhost:8080", model.origin) for source, _ in BLOCKS]),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [prints for _, prints in BLOCKS]
