"""What docs/context.md shows, runs: all blocks in order, against a scripted model."""

from __future__ import annotations

import asyncio
import re
from dataclasses import fields
from pathlib import Path

import pytest

from tests.support import run_blocks
from tests.support.openai_server import OpenAIServer, Recorded, Turn, text
from tiny_agents import ContextSettings
from tiny_agents.agent.definition.parse import parse_definition

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[2] / "docs" / "context.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.DOTALL | re.MULTILINE)


def model(request: Recorded) -> Turn:
    is_for_summary = "You write the memory" in str(request.body["messages"][0]["content"])
    return text("The user tells a story, chapter by chapter." if is_for_summary else "Go on, please.")


def test_every_block_runs_and_prints_what_the_page_says() -> None:
    assert len(BLOCKS) >= 2
    with OpenAIServer(model) as server:
        sources = [source.replace("http://localhost:8080/v1", server.url) for source, _ in BLOCKS]
        printed = asyncio.run(run_blocks.run(sources))
    for (source, prints), output in zip(BLOCKS, printed, strict=True):
        assert output == prints, source


def test_the_settings_are_all_on_the_page_and_can_be_written_in_a_definition() -> None:
    (example,) = re.findall(r"^```yaml\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE)
    written = parse_definition(f"name: a\n{example}", format="yaml").context
    names = [field.name for field in fields(ContextSettings)]
    assert list(written) == names
    assert [row for row in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) if row in names] == names
