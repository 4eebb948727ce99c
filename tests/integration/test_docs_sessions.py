"""What docs/sessions.md shows works as it is shown."""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

import pytest

from tests.support import run_blocks
from tests.support.openai_server import OpenAIServer, Recorded, Turn, text
from tiny_agents.agent.sessions.store import SessionStore
from tiny_agents.agent.sessions.types import About
from tiny_agents.cli.flags.sessions import add_sessions

pytestmark = pytest.mark.integration

PAGE = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text(encoding="utf-8")


def model(request: Recorded) -> Turn:
    return text(f"I heard {len(request.body['messages'])} messages.")


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with OpenAIServer(model) as server:
        sources = [block.replace('model="Qwen/Qwen3-32B"', f"base_url={server.url!r}") for block in blocks]
        printed = asyncio.run(run_blocks.run(sources))
    _, again, found, own = (output.splitlines() for output in printed)
    assert again == ["3"]
    assert found == ["My name is Ada. | My name is Ada.", "3 [3, 5]"]
    assert own == [
        "2 new or changed, now 2",
        "1 new or changed, now 3",
        "0 new or changed, now 3",
        "The password is ***.",
    ]


def test_the_table_of_commands_is_complete() -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    add_sessions(commands)
    (actions,) = (
        action.choices
        for action in commands.choices["sessions"]._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    for name in actions:
        assert f"tiny-agents sessions {name}" in PAGE or name == "list", name


def test_the_tables_list_what_there_is() -> None:
    methods = [name for name in vars(SessionStore) if not name.startswith("_")]
    assert all(f"| `{name}(" in PAGE for name in methods)
    about = next(line for line in PAGE.splitlines() if line.startswith("| `about`"))
    assert re.findall(r"`(\w+)`", about)[1:] == list(About.__struct_fields__)
