"""What docs/context.md shows, runs: all blocks in order, against a scripted model."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support import run_blocks
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tiny_agents import ContextSettings
from tiny_agents.agent.definition.parse import parse_definition

pytestmark = pytest.mark.integration

MANY_TOOLS = Path(__file__).parents[1] / "support" / "many_tools_server.py"
PAGE = (Path(__file__).parents[2] / "docs" / "context.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.DOTALL | re.MULTILINE)


def model(request: Recorded) -> Turn:
    messages = request.body["messages"]
    if "You write the memory" in str(messages[0]["content"]):
        return text("The user tells a story, chapter by chapter.")
    if not request.body.get("tools") or "Track" not in str(messages):
        return text("Go on, please.")
    results = sum(message["role"] == "tool" for message in messages)
    return SEARCHES[results]


SEARCHES = [
    calls(("search_tools", {"query": "parcels_17", "limit": 1})),
    calls(("parcels_17", {"value": "today"}), ids=["call_1"]),
    text("It comes today."),
]


def test_every_block_runs_and_prints_what_the_page_says() -> None:
    assert len(BLOCKS) >= 2
    with OpenAIServer(model) as server:
        sources = [source.replace("http://localhost:8080/v1", server.url) for source, _ in BLOCKS]
        sources = [source.replace('"many_tools_server.py"', repr(str(MANY_TOOLS))) for source in sources]
        sources = [source.replace('command": "python"', f'command": {sys.executable!r}') for source in sources]
        printed = asyncio.run(run_blocks.run(sources))
    for (source, prints), output in zip(BLOCKS, printed, strict=True):
        assert output == prints, source


def test_the_settings_are_all_on_the_page_and_can_be_written_in_a_definition() -> None:
    example, servers = re.findall(r"^```yaml\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE)
    found = parse_definition(servers, format="yaml").servers
    assert [server.options["defer"] for server in found] == ["always", "never"]
    written = parse_definition(f"name: a\n{example}", format="yaml").context
    names = list(ContextSettings.__struct_fields__)
    assert list(written) == names
    assert [row for row in re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) if row in names] == names
