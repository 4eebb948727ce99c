"""docs/definitions.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.errors import ConfigError

TEXT = (Path(__file__).parents[2] / "docs" / "definitions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```(yaml|json)\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.mark.parametrize(("language", "example"), EXAMPLES, ids=[language for language, _ in EXAMPLES])
def test_the_examples_are_definitions(language: str, example: str) -> None:
    definition = parse_definition(example, format="yaml" if language == "yaml" else "json")

    assert len(resolve_inputs(definition, env={"HF_TOKEN": "hf_x"}).servers) == 2


def table(heading: str) -> set[str]:
    """The names in backquotes in the first column of the first table under a heading."""
    section = TEXT.split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def unknown(text: str) -> set[str]:
    """The keys that an error lists as known."""
    with pytest.raises(ConfigError, match="unknown key") as caught:
        parse_definition(text)
    return set(str(caught.value).rpartition(" has ")[2].split(", "))


def test_the_tables_list_the_keys_that_are_known() -> None:
    assert table("agent.yaml") == unknown("zzzzzz: 1")
    assert table("Inputs") == unknown("inputs: [{zzzzzz: 1}]")
    servers = unknown("servers: [{command: x, zzzzzz: 1}]") | unknown("servers: [{url: 'http://x', zzzzzz: 1}]")
    assert table("Servers") == servers - {"name"}, "the name is explained in the text above the table"


@pytest.mark.parametrize(
    "name", ["params", "import", "tools", "permissions", "limits", "context", "output", "skills", "tests"]
)
def test_what_the_page_calls_unsupported_says_so(name: str) -> None:
    assert f"`{name}`" in TEXT.partition("## Not supported yet")[2]
    with pytest.raises(ConfigError, match=f"{name}: is not supported yet"):
        parse_definition(f"{name}: 1")


@pytest.mark.parametrize("name", ["roots", "prefix", "required", "restart", "approval", "defer"])
def test_what_the_page_calls_unsupported_for_a_server_says_so(name: str) -> None:
    assert f"`{name}`" in TEXT.partition("## Not supported yet")[2]
    with pytest.raises(ConfigError, match=f"servers.a.{name}: is not supported yet"):
        parse_definition(f"servers: {{a: {{command: x, {name}: 1}}}}")
