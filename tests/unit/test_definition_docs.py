"""docs/definitions.md and docs/agent.schema.json say what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.keys import AGENT, CHAT_PARAMS, CONTEXT, LIMITS, OUTPUT, PERMISSIONS, TOOLS
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.part_keys import INPUT, SERVERS
from tiny_agents.agent.definition.schema import definition_schema
from tiny_agents.agent.definition.table import Table
from tiny_agents.agent.definition.test_keys import ANSWER, CASE, EXPECTED, EXPECTED_CALL, STAND_IN

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "definitions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(yaml|json)\n(.*?)```", TEXT, flags=re.DOTALL)
SERVED_PARTS = {"params": CHAT_PARAMS, "limits": LIMITS, "permissions": PERMISSIONS, "context": CONTEXT}
SERVED_PARTS |= {"output": OUTPUT, "tools": TOOLS}


@pytest.mark.parametrize(("language", "example"), EXAMPLES, ids=[language for language, _ in EXAMPLES])
def test_the_examples_are_definitions(language: str, example: str) -> None:
    definition = parse_definition(example, format="yaml" if language == "yaml" else "json")

    assert resolve_inputs(definition, env={"HF_TOKEN": "hf_x"}).places


def test_the_python_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(compile(example, "docs/definitions.md", "exec"), {})
    shown = capsys.readouterr().out.splitlines()

    assert shown[0] == "Tells the time anywhere in the world, and converts times between places. ['time']"
    assert "'headers': {'Authorization': 'Bearer hf_example'}" in shown[1]
    assert "hf_example" not in shown[2]
    assert len(shown) == 3


def rows(heading: str, page: str = TEXT) -> list[str]:
    """The rows of the first table under a heading."""
    section = page.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def rows_of(table: Table) -> list[str]:
    return [f"| `{key.name}` | {key.says} |" for key in table.served.values()]


def server_rows() -> list[str]:
    """Those of all types, each key once, with the types it is for."""
    keys = {name: key for table in SERVERS.values() for name, key in table.served.items()}
    types = {name: [type for type, table in SERVERS.items() if name in table.served] for name in keys}
    return [
        f"| `{name}` | {'all' if len(types[name]) == len(SERVERS) else ', '.join(types[name])} | {key.says} |"
        for name, key in keys.items()
    ]


def test_the_tables_are_the_rows_that_the_code_has() -> None:
    assert rows("agent.yaml") == rows_of(AGENT)
    assert rows("Inputs") == rows_of(INPUT)
    assert rows("Servers") == server_rows()


def test_a_key_that_is_a_mapping_has_a_section_with_its_table() -> None:
    for name in sorted(SERVED_PARTS.keys() & AGENT.served.keys()):
        assert rows(f"`{name}`") == rows_of(SERVED_PARTS[name])


def test_the_schema_for_editors_is_fresh() -> None:
    kept = (DOCS / "agent.schema.json").read_text(encoding="utf-8")

    assert json.loads(kept) == definition_schema(), "run: tiny-agents schema > docs/agent.schema.json"


# ---- docs/testing.md

TESTING = (DOCS / "testing.md").read_text(encoding="utf-8")


def test_the_tables_about_tests_are_the_rows_that_the_code_has() -> None:
    tables = {
        "A test": CASE,
        "`expect`": EXPECTED,
        "`calls`": EXPECTED_CALL,
        "`answers`": ANSWER,
        "`results`": STAND_IN,
    }
    for heading, table in tables.items():
        assert rows(heading, TESTING) == rows_of(table), heading


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TESTING, flags=re.DOTALL))
def test_the_examples_of_tests_are_definitions(example: str) -> None:
    assert parse_definition(example).tests
