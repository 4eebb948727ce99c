"""docs/mcp/README.md: its blocks run, one after the other, and print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.run_blocks import in_own_process
from tiny_agents.mcp_client import events, instructions
from tiny_agents.mcp_client.host import hosts
from tiny_agents.mcp_client.host.host import (
    MAX_ELICITATIONS,
    MAX_ELICITATIONS_PER_CALL,
    MAX_SAMPLING_TOKENS,
    MAX_SAMPLINGS,
)

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "mcp" / "README.md"
TEXT = PAGE.read_text(encoding="utf-8")
FENCES = re.findall(r"^```(\w+)\n(.*?)^```\n", TEXT, re.DOTALL | re.MULTILINE)


def test_every_block_runs_and_prints_what_the_page_says() -> None:
    sources = [source for language, source in FENCES if language == "python"]
    script = [
        calls(("find", {"word": "tomatoes"})),
        calls(("read_resource_link", {"uri": "note://garden"})),
        text("Water them."),
    ]
    with OpenAIServer(script) as model:
        sources = [source.replace("http://localhost:8080/v1", model.url) for source in sources]
        printed = in_own_process(sources, cwd=ROOT)
    expected = []
    for language, source in FENCES:
        if language == "python":
            expected.append("")
        else:
            assert language == "text"
            expected[-1] = source
    assert printed == expected
    assert [message["content"] for message in model.chats[2]["messages"] if message["role"] == "tool"][1] == (
        "Water the tomatoes."
    )
    assert "> Look a note up before you talk about it." in model.chats[0]["messages"][0]["content"]


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", TEXT):
        assert target.startswith("https://") or (PAGE.parent / target).exists(), target


def test_numbers_and_names_are_those_of_the_code() -> None:
    questions = (MAX_ELICITATIONS, MAX_ELICITATIONS_PER_CALL)
    texts = (MAX_SAMPLING_TOKENS, MAX_SAMPLINGS)
    for number in (instructions.MAX_SERVER_CHARS, instructions.MAX_TOTAL_CHARS, *questions, *texts):
        assert f"{number:,}" in TEXT
    for name in re.findall(r"^\| (`[A-Z].*?) \|", TEXT, re.MULTILINE):
        for part in re.findall(r"`(\w+)`", name):
            assert hasattr(events, part) or hasattr(hosts, part), part
