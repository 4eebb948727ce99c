"""`tiny-agents validate` says everything at once, and starts nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.cli import main
from tiny_agents.cli.exit_codes import ExitCode, error_message
from tiny_agents.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_errors_of_the_keys_are_all_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text("modle: x\ntimeout: -1\nservers: {s: {command: [x], arg: y}}\n")

    assert main(["validate", "a.yaml"]) == ExitCode.USAGE
    assert capsys.readouterr().out.splitlines() == [
        "error: a.yaml:1:1: modle: unknown key (did you mean 'model'?)",
        "error: a.yaml:2:1: timeout: must be a number of seconds above 0, but is -1",
        "error: a.yaml:3:15: servers.s.command: must be text, but is a list",
        "error: a.yaml:3:29: servers.s.arg: unknown key (did you mean 'args'?)",
    ]


def test_errors_of_placeholders_are_all_named_and_values_are_not_looked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.yaml").write_text(
        "apiKey: ${input:kye}\ninputs: [{id: key}, {id: spare}]\nprompt: ${HOME} of ${input:}\n"
        "servers: {s: {command: python, args: ['${env:NOT_SET}', '${input:kye}', '${input:key}', '${agentdir}']}}\n"
    )

    assert main(["validate", "a.yaml"]) == ExitCode.USAGE
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "error: a.yaml:1:1: apiKey: ${input:kye} names no input of the definition (did you mean 'key'?)"
    assert out[1].startswith("error: a.yaml:3:1: prompt: ${input:} is no placeholder; there are")
    assert out[2].startswith("error: a.yaml:4:89: servers.s.args[3]: ${agentdir} is no placeholder (did you mean 'ag")
    assert out[3] == "warning: a.yaml:2:21: inputs[1]: nothing uses the input 'spare'"
    assert len(out) == 4 + any("python" in line for line in out[4:])


def test_what_an_agent_json_ignores_is_a_warning(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "agent.json").write_text(
        '{"modle": "m", "$schema": "x", "inputs": [{"id": "a", "default": "d"}],\n'
        ' "servers": [{"type": "http", "url": "http://x", "header": {}, "headers": {"A": "${input:b}"}}]}'
    )

    assert main(["validate", ".", "clock"]) == ExitCode.DONE
    out = capsys.readouterr().out.splitlines()
    assert out[:6] == [
        "warning: agent.json:1:2: modle: means nothing in agent.json (did you mean 'model'?)",
        "warning: agent.json:2:50: servers[0].header: means nothing in agent.json (did you mean 'headers'?)",
        "warning: agent.json:1:55: inputs[0].default: means nothing in agent.json",
        "warning: agent.json:1:43: inputs[0]: nothing uses the input 'a'",
        "warning: agent.json:2:76: servers[0].headers.A: ${input:b} names no input of the definition; it stays as it is",
        f".: no errors (agent {folder.name}, 1 server, 1 input)",
    ]
    assert out[-1] == "clock: no errors (agent clock, 1 server, 0 inputs)"


def test_what_there_is_not_is_an_error_like_any_other(folder: Path) -> None:
    found = validate_definition("no-such-agent")

    assert found.definition is None
    assert "there is no agent 'no-such-agent'" in str(found.errors[0])


def test_a_schema_that_is_none_is_an_error_before_anything_runs(folder: Path) -> None:
    (folder / "agent.yaml").write_text("model: m\noutput: {schema: {type: thing}}\n", encoding="utf-8")
    (found,) = validate_definition(folder).errors
    assert ":2:10: output.schema: type is no JSON Schema: 'thing' is no type; there are array" in str(found)


def test_run_says_how_much_more_is_wrong() -> None:
    error = ConfigError("first", path="a.yaml")
    error.others = (ConfigError("second"),)
    assert error_message(error) == "a.yaml: first (and 1 more problem: `tiny-agents validate` names all)"
    error.others *= 2
    assert error_message(error).endswith("(and 2 more problems: `tiny-agents validate` names all)")
