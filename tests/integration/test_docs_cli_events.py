"""The program in docs/cli-events.md runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.program import LIMIT_S, environment

pytestmark = [pytest.mark.integration]
PAGE = Path(__file__).parents[2] / "docs" / "cli-events.md"


def test_the_program_that_reads_records_runs(tmp_path: Path) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    turns = [calls(("get_current_time", {"timezone": "Asia/Tokyo"})), text("It is noon.")]
    with OpenAIServer(turns) as model:
        env = environment(tmp_path, TINY_AGENTS_BASE_URL=model.url, TINY_AGENTS_MODEL="m")
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=LIMIT_S
        )
    assert done.stdout.splitlines() == ["calls get_current_time {'timezone': 'Asia/Tokyo'}", "done It is noon."]
    assert done.returncode == 0
