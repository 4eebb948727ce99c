"""What docs/agent.md shows, runs: all blocks in order, against a scripted model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, status, text
from tests.support.run_blocks import in_own_process

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.DOTALL | re.MULTILINE)
COUNTED: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}


def answer(request: Recorded) -> Turn:
    """A model that adds with a tool, is polite, and only writes JSON when it has to."""
    body = request.body
    if body["model"] == "big-model":
        return status(404, {"error": {"message": "no such model"}})
    said = _answer(body)
    return Turn([*said.events, COUNTED], said.message)


def _answer(body: dict[str, Any]) -> Turn:
    messages = body["messages"]
    if "response_format" in body and "Sum" in str(body["response_format"]):
        return text('{"value": 3}')
    if body.get("tool_choice") == "none":
        return text("I can't say without a tool.")
    last = messages[-1]
    if last["role"] == "tool":
        return text(f"It is {last['content']}.")
    if (numbers := re.search(r"(\d+) \+ (\d+)", last["content"])) is None:
        return text("Hello to you.")
    arguments = {"a": int(numbers[1]), "b": int(numbers[2])}
    return calls(("add", arguments), ids=[f"call_{len(messages)}"])


def test_every_block_of_the_page_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    assert len(BLOCKS) >= 8
    with OpenAIServer(answer) as model:
        printed = in_own_process(
            (source.replace("http://localhost:8080", model.origin) for source, _ in BLOCKS), cwd=tmp_path
        )
    assert len(printed) == len(BLOCKS)
    for (source, prints), output in zip(BLOCKS, printed, strict=True):
        assert output == prints, source
