"""What docs/observability.md shows, runs: all blocks in order, against a scripted model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.run_blocks import in_own_process

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
        printed = in_own_process(
            (source.replace("http://localhost:8080", model.origin) for source, _ in BLOCKS), cwd=tmp_path
        )
    assert printed == [prints for _, prints in BLOCKS]
