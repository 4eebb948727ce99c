"""The JSON Schema of agent.yaml accepts what is right, and refuses what is wrong as far as a schema can."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from tests.unit.test_definition_keys import BAD as BAD_PARTS
from tests.unit.test_definition_keys import GOOD as GOOD_PARTS
from tests.unit.test_definition_yaml import BAD, WHOLE
from tiny_agents.agent.definition.document import Value, read_yaml
from tiny_agents.agent.definition.schema import definition_schema, schema_of_tests
from tiny_agents.agent.definition.table import Shape, Table
from tiny_agents.errors import ConfigError

VALIDATOR = jsonschema.Draft7Validator(definition_schema())
BUNDLED = sorted((Path(__file__).parents[2] / "tiny_agents" / "agents").glob("*.yaml"))

UNSAYABLE = {
    # characters, and places that only the reader of the file knows
    'name: "a\\0"': "NUL",
    'name: "\\ud800"': "a lone surrogate",
    "endpointUrl: http://x:99999999/": "a port",
    'servers: {a: {url: "http://x", headers: {A: "b\\n"}}}': "a line break",
    "servers: {a: {url: 'http://x', headers: {'A:': b}}}": "names of headers",
    "inputs: [{id: a}, {id: a}]": "two things of the same name",
    "servers: [{command: x, name: a}, {command: y, name: a}]": "two things of the same name",
    "servers: {a: {command: x, allowed_tools: [a], tools: {allow: [b]}}}": "keys that exclude each other",
    "inputs: [{id: a, default: '${env:B}'}]": "placeholders",
    "startup_timeout: 1e999": "infinity",
    f"max_turns: {'9' * 30}": "numbers that are too large to be exact",
    "tools: {python: ['${agentDir}/a.py']}": "placeholders",
    "tests: ['${agentDir}/a.yaml']": "placeholders",
    "tools: {tasks: [translation, translation]}": "two things of the same name",
    "inputs: [{id: a, type: pickString, options: ['${x}']}]": "placeholders",
    "inputs: [{id: a, type: pickString, options: [b, c], default: d}]": "what another key says",
}
UNSAYABLE_PARTS = {
    "{temperature: 1e999}": "infinity",
    "{prompt: a, expect: {matches: '('}}": "what is a regular expression",
}


def parsed(text: str) -> Value | None:
    try:
        return read_yaml(text)
    except ConfigError:
        return None


def plain(value: Value) -> object:
    if isinstance(value.data, dict):
        return {name: plain(item) for name, item in value.data.items()}
    return [plain(item) for item in value.data] if isinstance(value.data, list) else value.data


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(VALIDATOR.schema)


@pytest.mark.parametrize("text", [WHOLE, *(file.read_text(encoding="utf-8") for file in BUNDLED)])
def test_what_is_right_fits(text: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(read_yaml(text).plain())] == []


WRONG = [text for text, _ in BAD if parsed(text) is not None]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_does_not_fit_as_far_as_a_schema_can_say_it(text: str) -> None:
    value = parsed(text)
    assert value is not None
    assert VALIDATOR.is_valid(plain(value)) == (text in UNSAYABLE)


@pytest.mark.parametrize(("shape", "text", "_"), GOOD_PARTS, ids=[case[1][:40] for case in GOOD_PARTS])
def test_parts_that_are_right_fit(shape: Shape | Table, text: str, _: object) -> None:
    assert part(shape).is_valid(plain(read_yaml(text)))


@pytest.mark.parametrize(("shape", "text", "_"), BAD_PARTS, ids=[case[1] for case in BAD_PARTS])
def test_parts_that_are_wrong_do_not_fit(shape: Shape | Table, text: str, _: object) -> None:
    assert part(shape).is_valid(plain(read_yaml(text))) == (text in UNSAYABLE_PARTS)


def part(shape: Shape | Table) -> jsonschema.Draft7Validator:
    shape = shape.shape if isinstance(shape, Table) else shape
    return jsonschema.Draft7Validator({**shape.schema, "definitions": VALIDATOR.schema["definitions"]})


def test_the_command_prints_it_without_the_weight_of_running_agents() -> None:
    code = (
        "import sys, tiny_agents.cli as c; c.main(['schema']); "
        "print(*sorted({'mcp', 'httpx2', 'prompt_toolkit', 'rich'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert json.loads(done.stdout) == VALIDATOR.schema
    assert done.stderr.strip() == ""


def test_files_with_tests_have_a_schema_too() -> None:
    validator = jsonschema.Draft7Validator(schema_of_tests())
    jsonschema.Draft7Validator.check_schema(validator.schema)
    files = [*(Path(__file__).parents[2] / "examples").glob("*/tests.yaml")]
    assert files
    assert all(validator.is_valid(read_yaml(file.read_text(encoding="utf-8")).plain()) for file in files)
    assert validator.is_valid({"prompt": "a"})
    assert not validator.is_valid([{"promt": "a"}])
