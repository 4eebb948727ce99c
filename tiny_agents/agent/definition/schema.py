"""The JSON Schema of agent.yaml, for editors: what `tiny-agents schema` prints, made from the table of keys."""

from __future__ import annotations

from typing import Any

from tiny_agents.agent.definition.keys import AGENT
from tiny_agents.agent.definition.test_keys import CASE
from tiny_agents.agent.definition.yaml_parts import schema_parts
from tiny_agents.inference.providers import NAMES


def definition_schema() -> dict[str, Any]:
    """A JSON Schema (draft 7, which editors know best) that every agent.yaml fits.

    It says less than the reader of the file: not that two servers need different names, that a placeholder names an
    input, or that a file exists.
    """
    schema = AGENT.schema()
    for mapping in (schema, _task(schema)):
        mapping["properties"]["provider"] = {
            "description": mapping["properties"]["provider"]["description"],
            "anyOf": [{"enum": list(NAMES)}, {"type": "string", "pattern": r"\$\{"}],
        }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "agent.yaml of tiny-agents",
        **schema,
        "definitions": schema_parts(),
    }


def schema_of_tests() -> dict[str, Any]:
    """The same for files that `tests` names: a list of tests, or a single one."""
    case = CASE.schema()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tests of an agent of tiny-agents",
        "anyOf": [{"type": "array", "items": {"$ref": "#/definitions/test"}}, {"$ref": "#/definitions/test"}],
        "definitions": {"test": case},
    }


def _task(schema: dict[str, Any]) -> dict[str, Any]:
    """The part about a task that is written as a mapping."""
    _, mapping = schema["properties"]["tools"]["properties"]["tasks"]["items"]["anyOf"]
    found: dict[str, Any] = mapping
    return found
