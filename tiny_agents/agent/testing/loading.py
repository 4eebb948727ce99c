"""The tests of a definition: those that stand in it, and those in the files that it names."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from tiny_agents.agent.definition.boundary import Boundary
from tiny_agents.agent.definition.document import Value, read_yaml
from tiny_agents.agent.definition.loading import read_text
from tiny_agents.agent.definition.readings import read_each
from tiny_agents.agent.definition.table import Problems
from tiny_agents.agent.definition.test_keys import read_case
from tiny_agents.agent.definition.types import AgentDefinition, FileDefinition
from tiny_agents.agent.loop.output import output_of, schema_problem
from tiny_agents.agent.testing.case import Case
from tiny_agents.errors import ConfigError, UsageError

MAX_FILES = 1_000
ENDINGS = (".yaml", ".yml", ".json")


def cases_of(definition: AgentDefinition) -> list[Case]:
    """The tests of a definition, in its order, each with a name of its own.

    Raises:
        ConfigError: A file can't be read, or a test makes no sense; with its place, and in `others` what else is wrong.
    """
    folder = definition.path.parent if definition.path is not None else Path()
    boundary = Boundary(folder, definition.allowed)
    problems = Problems()
    cases: list[Case] = []
    for each in definition.tests:
        found = [each] if isinstance(each, Case) else []
        if isinstance(each, FileDefinition):
            with problems.noted():
                for path in _files(definition, boundary, each):
                    with problems.noted():
                        found += _cases_in(path)
        for case in found:
            with problems.noted():
                cases.append(_completed(case, boundary, definition.path))
    problems.raise_first()
    return _named(cases)


def _files(definition: AgentDefinition, boundary: Boundary, wanted: FileDefinition) -> Iterable[Path]:
    """The files that a pattern means, in the order of their names."""
    name = wanted.name.replace("\\", "/")
    pattern = PurePosixPath(name)
    try:
        if not any(letter in name for letter in "*?["):
            path = boundary.resolve(name)
            if not path.is_file():
                raise definition.error(wanted.key, f"there is no file {wanted.name!r} beside the definition")
            return [path]
        if pattern.is_absolute() or ".." in pattern.parts:
            raise definition.error(wanted.key, f"{wanted.name!r}: a pattern is about files below the agent's folder")
        found = sorted(path for path in boundary.folder.glob(str(pattern)) if path.is_file())
        for path in found:
            boundary.resolve(str(path.relative_to(boundary.folder)))
    except ConfigError as error:
        if error.key is not None:
            raise
        raise definition.error(wanted.key, f"{wanted.name!r} {error.problem}") from error
    except (ValueError, NotImplementedError) as error:
        raise definition.error(wanted.key, f"{wanted.name!r} is no pattern of files: {error}") from error
    if not found:
        raise definition.error(wanted.key, f"no file beside the definition fits {wanted.name!r}")
    if len(found) > MAX_FILES:
        raise definition.error(wanted.key, f"{len(found):,} files fit {wanted.name!r}; {MAX_FILES:,} are the most")
    return found


def _cases_in(path: Path) -> list[Case]:
    """The tests in a file: a list, or a single one."""
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"a file with tests ends in {', '.join(ENDINGS)}", path=path)
    root = read_yaml(read_text(path), str(path))
    return read_each(root.data if isinstance(root.data, list) else [_mapping(root)], read_case)


def _mapping(root: Value) -> Value:
    if not isinstance(root.data, dict):
        raise root.error(f"a file with tests is a list of tests, or a single one; this is {root.kind}")
    return root


def _completed(case: Case, boundary: Boundary, definition: Path | None) -> Case:
    """`case` with the schema that it names, checked."""
    schema = case.expected.schema
    if schema is None:
        return case
    path = case.path or definition
    at = f"{case.key}.expect.schema" if case.key else "expect.schema"

    def error(problem: str) -> ConfigError:
        return ConfigError(problem, path=path, key=at, line=case.line)

    found: Any = schema
    if isinstance(schema, str):
        file = (case.path.parent if case.path is not None else boundary.folder) / schema.replace("\\", "/")
        if not boundary.holds(file):
            raise error(f"{schema!r} lies outside the agent's folder")
        if not file.is_file():
            raise error(f"there is no file {schema!r} beside this one")
        try:
            found = json.loads(read_text(file))
        except (ValueError, RecursionError) as problem:
            raise error(f"the file {schema!r} is no JSON: {problem}") from problem
        if not isinstance(found, dict):
            raise error(f"the file {schema!r} holds no JSON Schema, which is an object")
    try:
        output_of(found)
    except UsageError as problem:
        raise error(schema_problem(problem)) from problem
    return replace(case, expected=replace(case.expected, schema=found))


def _named(cases: list[Case]) -> list[Case]:
    """`cases`, those with the name of another one numbered."""
    return list(_numbered(cases, Counter(case.name for case in cases)))


def _numbered(cases: list[Case], times: Counter[str]) -> Iterator[Case]:
    seen: Counter[str] = Counter()
    for case in cases:
        seen[case.name] += 1
        yield case if times[case.name] == 1 else replace(case, name=f"{case.name} ({seen[case.name]})")
