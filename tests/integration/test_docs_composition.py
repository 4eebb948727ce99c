"""What docs/composition.md shows, runs: its files are written, its blocks run in order, against a scripted model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tests.support.run_blocks import in_own_process
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.task_names import TASKS

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "composition.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
OF_FILES = [content for _, content in FILES]
BLOCKS = [
    (source, prints)
    for source, prints in re.findall(
        r"^```python\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.DOTALL | re.MULTILINE
    )
    if source not in OF_FILES
]
DEGREES = {"Oslo": 4, "Rome": 21}


def answer(request: Recorded) -> Turn:
    messages: list[dict[str, Any]] = request.body["messages"]
    offered = {tool["function"]["name"] for tool in request.body.get("tools", ())}
    results = [m["content"] for m in messages if m["role"] == "tool"]
    asked = next(m["content"] for m in messages if m["role"] == "user")
    cities = [city for city in DEGREES if city in asked]
    if "load_skill" in offered:
        named = [{"name": "complaint"}, {"name": "complaint", "file": "closing.md"}]
        return (
            calls(("load_skill", named[len(results)]), ids=[f"c{len(results)}"]) if len(results) < 2 else text("Dear")
        )
    if "ask_about_weather" in offered:
        wanted = [("ask_about_weather", {"task": f"How warm is it in {city}?"}) for city in cities]
        return text("It is warmer in Rome.") if results else calls(*wanted)
    if "temperature" in offered and not results:
        return calls(("temperature", {"city": cities[0]}))
    return text(f"It is {results[-1]}." if results else "Who knows.")


def test_every_block_of_the_page_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    assert len(BLOCKS) == 4
    assert len(FILES) == 7
    for name, content in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    with OpenAIServer(answer) as model:
        model_of_all = {"TINY_AGENTS_BASE_URL": model.url, "TINY_AGENTS_MODEL": "m"}
        sources = (source.replace("http://localhost:8080", model.origin) for source, _ in BLOCKS)
        printed = in_own_process(sources, cwd=tmp_path, env=model_of_all)
    for (source, prints), output in zip(BLOCKS, printed, strict=True):
        assert sorted(output.splitlines()) == sorted(prints.splitlines()), source  # agents answer in any order


def test_every_definition_of_the_page_is_one() -> None:
    definitions = [parse_definition(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
    assert len(definitions) == 6


def test_the_page_names_every_task() -> None:
    section = PAGE.partition("## Inference tasks")[2].partition("## Skills")[0]
    assert all(f"`{task}`" in section for task in TASKS)
