"""Everything that is wrong or odd about a definition, found without running it or asking for values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiny_agents.agent.definition.document import read_json
from tiny_agents.agent.definition.inputs import placeholder_problems, used_inputs
from tiny_agents.agent.definition.json_form import ignored
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.requirements import missing_of_agents, missing_requirements
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError, UsageError


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found.

    Attributes:
        definition: None where it can't be used at all.
        errors: With their places; it doesn't run before they are mended.
        warnings: What is ignored, unused, or missing on this machine.
    """

    definition: AgentDefinition | None
    errors: tuple[ConfigError, ...] = ()
    warnings: tuple[str, ...] = ()


def validate_definition(
    ref: str | Path, *, env: Mapping[str, str] = os.environ, allow_paths: Iterable[str | Path] = ()
) -> Findings:
    """Look at the agent that `ref` means, as `load_definition` would find it.

    Raises:
        TinyAgentsError: It could not be fetched from the Hub.
    """
    try:
        definition = load_definition(ref, env=env, allow_paths=allow_paths)
    except ConfigError as error:
        return Findings(None, (error, *error.others))
    errors = (*placeholder_problems(definition), *_problems_of_output(definition), *_problems_of_tests(definition))
    return Findings(definition, errors, tuple(_warnings(definition)))


def _problems_of_output(definition: AgentDefinition) -> tuple[ConfigError, ...]:
    from tiny_agents.agent.loop.output import output_of, schema_problem

    try:
        output_of(definition.output.get("schema"))
    except UsageError as error:
        return (definition.error("output.schema", schema_problem(error)),)
    return ()


def _problems_of_tests(definition: AgentDefinition) -> tuple[ConfigError, ...]:
    from tiny_agents.agent.testing.loading import cases_of

    try:
        cases_of(definition)
    except ConfigError as error:
        return (error, *error.others)
    return ()


def _warnings(definition: AgentDefinition) -> list[str]:
    found: list[str] = []
    if not definition.strict and definition.path is not None and definition.path.is_file():
        found += map(str, ignored(read_json(definition.path.read_text(encoding="utf-8-sig"), str(definition.path))))
    used = used_inputs(definition)
    found += [
        str(definition.error(item.key, f"nothing uses the input {item.id!r}"))
        for item in definition.inputs
        if item.id not in used
    ]
    declared = {item.id for item in definition.inputs}
    if not definition.strict:
        found += [
            str(definition.error(spots[0].key, f"${{input:{id}}} names no input of the definition; it stays as it is"))
            for id, spots in used.items()
            if id not in declared
        ]
    return found + missing_requirements(definition) + missing_of_agents(definition)
