"""`envFile`: a file of environment variables for one server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tiny_agents.agent.definition.boundary import Boundary
from tiny_agents.agent.definition.document import child_key
from tiny_agents.agent.definition.types import AgentDefinition, ServerDefinition
from tiny_agents.errors import ConfigError

KEY = "envFile"
MAX_BYTES = 1_000_000

_LINE = re.compile(r"\s*+(?:export\s++)?([A-Za-z_][A-Za-z0-9_.]*+)\s*+=(.*)")
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\", "$": "$"}


def read_env(text: str) -> dict[str, str]:
    """The variables in `text`: `NAME=value`, `export NAME="a\\nb"`, `NAME='as it is'`, and `# comments`.

    Nothing in a value is filled in. White space around it, and what follows ` #`, doesn't belong to one without quotes.

    Raises:
        ConfigError: With the line that is none of these; its text isn't repeated, as it may be a secret.
    """
    return dict(_variables(text.removeprefix("\ufeff")))


def _variables(text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ConfigError("must be NAME=value", line=number)
        name, value = found.groups()
        yield name, _value(value.strip(), number)


def _value(text: str, line: int) -> str:
    if not text.startswith(("'", '"')):
        return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
    quoted = _QUOTED.match(text)
    rest = text[quoted.end() :].strip() if quoted is not None else ""
    if quoted is None or (rest and not rest.startswith("#")):
        raise ConfigError("a value in quotes ends on the same line, with the same quote", line=line)
    if quoted[1] is not None:
        return quoted[1]
    return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted[2])


def with_env_files(definition: AgentDefinition, workspace: Path) -> AgentDefinition:
    """`definition` with the variables of its servers' files in their `env`, which wins over the file.

    A relative path counts from `workspace`. A downloaded agent reads files of its own folder, and what the user allowed.

    Raises:
        ConfigError: A file can't be read, or isn't such a file; with the server's key.
    """
    if not any(KEY in server.params for server in definition.servers):
        return definition
    return replace(
        definition, servers=tuple(_with_file(definition, server, workspace) for server in definition.servers)
    )


def _with_file(definition: AgentDefinition, server: ServerDefinition, workspace: Path) -> ServerDefinition:
    if KEY not in server.params:
        return server
    key = child_key(server.key, KEY)
    path = workspace / server.params[KEY]
    if definition.downloaded and definition.path is not None:
        boundary = Boundary(definition.path.absolute().parent, definition.allowed)
        if not boundary.holds(path):
            problem = "a downloaded agent reads files of its own folder; allow others with --allow-path"
            raise definition.error(key, f"{problem} (in Python: allow_paths)")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise definition.error(key, f"the file {str(path)!r} is larger than {MAX_BYTES // 1_000_000} MB")
        variables = read_env(data.decode("utf-8-sig"))
    except ConfigError as error:
        if error.path is not None:
            raise
        raise ConfigError(f"{error.problem} (in the envFile of {server.name})", path=path, line=error.line) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise definition.error(key, f"the file {str(path)!r} can't be read: {reason}") from error
    except UnicodeDecodeError:
        raise definition.error(key, f"the file {str(path)!r} is not UTF-8 text") from None  # it has its content
    params = {name: value for name, value in server.params.items() if name != KEY}
    return replace(server, params={**params, "env": {**variables, **params.get("env", {})}})
