"""What README shows works as it is shown."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
from tiny_agents.agent.definition.parse import parse_definition

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def model(request: Recorded) -> Turn:
    if request.body["messages"][-1]["role"] == "tool":
        return text("It is late ", "in Tokyo.")
    return calls(("get_current_time", {"timezone": "Asia/Tokyo"}))


def test_the_agent_definition_is_a_valid_one() -> None:
    (source,) = blocks("yaml")
    definition = parse_definition(source, path=Path("agent.yaml"), format="yaml")
    assert [(server.name, server.type) for server in definition.servers] == [("notes", "stdio"), ("search", "http")]
    assert definition.tool_timeout == 30


def test_the_embedding_example_runs(tmp_path: Path) -> None:
    source = next(block for block in blocks("python") if "asyncio.run(main())" in block)
    with OpenAIServer(model) as server:
        script = tmp_path / "example.py"
        script.write_text(source.replace('model="Qwen/Qwen3-32B"', f"base_url={server.url!r}"), encoding="utf-8")
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "[get_current_time] {" in done.stdout
    assert done.stdout.endswith("It is late in Tokyo.")


def cells(url: str) -> list[CodeType]:
    """The notebook's cells, compiled as a notebook compiles them: `await` at the top level is fine."""
    sources = [block for block in blocks("python") if block.startswith("# cell")]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return [
        compile(source.replace('provider="local"', f"base_url={url!r}"), f"cell {number}", "exec", flags=flags)
        for number, source in enumerate(sources, 1)
    ]


def test_the_notebook_example_runs_each_cell_in_a_task_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    async def run_cell(cell: CodeType, names: dict[str, Any]) -> None:
        result = eval(cell, names)  # what a notebook does with a cell
        if inspect.isawaitable(result):
            await result

    async def notebook(url: str) -> dict[str, Any]:
        names: dict[str, Any] = {}
        for cell in cells(url):
            await asyncio.wait_for(asyncio.create_task(run_cell(cell, names)), 60)
        return names

    with OpenAIServer(model) as server:
        names = asyncio.run(notebook(server.url))
    assert [message["role"] for message in names["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert names["messages"][-1]["content"] == "It is late in Tokyo."
    assert "Asia/Tokyo" in capsys.readouterr().out


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((docs/[^)#]+|[A-Z]+\.md)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_inference_example_prints_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    source = next(block for block in blocks("python") if "InferenceClient(base_url" in block)
    with OpenAIServer([text("1, ", "2, ", "3")]) as server:
        exec(compile(source.replace("http://localhost:8080/v1", server.url), "README.md", "exec"), {})
    assert capsys.readouterr().out == "1, 2, 3"
