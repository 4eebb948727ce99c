"""docs/events.md names every item and event with all its fields, and its block runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import tiny_agents
from tests.integration.test_docs_agent import answer
from tests.support.openai_server import OpenAIServer
from tests.support.run_blocks import in_own_process
from tiny_agents.agent.agent import Item
from tiny_agents.mcp_client.events import ServerEvent

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE))


def test_every_item_and_event_is_listed_with_all_its_fields() -> None:
    events = {event.__name__: list(event.__struct_fields__) for event in get_args(ServerEvent)}
    items = {item.__name__ for item in get_args(Item)}
    assert set(ROWS) == set(events) | items
    for name, names in events.items():
        assert re.findall(r"`(\w+)`", ROWS[name]) == names, name
    assert set(ROWS) <= set(tiny_agents.__all__)


def test_the_block_prints_what_the_page_says() -> None:
    (found,) = re.findall(r"^```python\n(.*?)^```\n```text\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    source, prints = found
    with OpenAIServer(answer) as model:
        printed = in_own_process([source.replace("http://localhost:8080", model.origin)], cwd=ROOT)
    assert printed == [prints]
