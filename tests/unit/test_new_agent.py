"""What `tiny-agents init` writes means what was said, whatever was said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.cli.flags.init import EXAMPLES
from tiny_agents.cli.new_agent import KNOWN_SERVERS, NewAgent, agent_yaml

TEXTS = [
    "Tidies up notes.",
    "a ${you} b",
    "$${x} $$${y} $z ${ $",
    "#no: - [x]",
    "'q' \"d\" \\n: &a *b",
    "yes",
    "12",
    "~",
    "é\u202ex",
    "\u2028 a",
    "tab\tx",
    "line 1\n\n  line 2 ${z}  ",
    "\x07 rings",
]


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("text", TEXTS)
def test_any_text_arrives_as_it_was_written(tmp_path: Path, text: str, in_file: bool) -> None:
    agent = NewAgent(name="n", purpose=" ".join(text.split()), prompt=text, prompt_file=in_file)
    (tmp_path / "agent.yaml").write_text(agent_yaml(agent), encoding="utf-8")
    if in_file:
        (tmp_path / "PROMPT.md").write_text(agent.prompt_text, encoding="utf-8")
    written = resolve_inputs(load_definition(tmp_path))
    assert written.description == " ".join(text.split())
    lines = [line.rstrip(" ") for line in text.strip().split("\n")]
    assert (written.prompt or "").strip().split("\n") == lines


def test_all_servers_that_are_offered_make_a_valid_definition(tmp_path: Path) -> None:
    servers = {name: server.entry for name, server in KNOWN_SERVERS.items()}
    agent = NewAgent(name="all", model="m", base_url="http://localhost:1/v1", servers=servers)
    (tmp_path / "agent.yaml").write_text(agent_yaml(agent), encoding="utf-8")
    found = validate_definition(tmp_path)
    assert found.errors == ()
    assert [server.name for server in found.definition.servers] == list(KNOWN_SERVERS)
    assert ", ".join(KNOWN_SERVERS) in EXAMPLES


def test_what_stands_in_comments_is_right_too(tmp_path: Path) -> None:
    lines = agent_yaml(NewAgent(name="n")).splitlines()
    keys = ("model", "endpointUrl", "apiKey", "servers", "  files", "    ", "inputs", "permissions", "limits")
    wanted = tuple(f"# {key}" for key in keys)
    text = "\n".join(line[2:] if line.startswith(wanted) else line for line in lines)
    (tmp_path / "agent.yaml").write_text(text, encoding="utf-8")
    errors = [str(error) for error in validate_definition(tmp_path).errors]
    assert errors == []
