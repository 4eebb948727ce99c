"""Filling in what a definition leaves open: `${input:id}`, `${env:NAME}`, `${agentDir}`, `${workspaceFolder}`, `${python}`.

agent.yaml is expanded wherever text goes to a server or a model, and what has no value is an error before anything
starts. agent.json knows `${input:id}` only, in `env`, `headers` and `apiKey`, and takes an empty text with a warning.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tiny_agents.agent.definition.boundary import check_task_folders, check_working_folders
from tiny_agents.agent.definition.document import child_key, did_you_mean
from tiny_agents.agent.definition.env_files import with_env_files
from tiny_agents.agent.definition.input_values import Keeper, Sources
from tiny_agents.agent.definition.readings import NO_ADDRESS, NO_HEADER, has_line_break
from tiny_agents.agent.definition.table import raise_together
from tiny_agents.agent.definition.types import (
    AgentDefinition,
    InputDefinition,
    ServerDefinition,
    SubagentDefinition,
    TaskDefinition,
    ToolsDefinition,
)
from tiny_agents.errors import ConfigError
from tiny_agents.inference.settings import is_address

log = logging.getLogger(__name__)

PLACEHOLDER = re.compile(r"\$(\$?)\{([^{}]*)\}")
"""A second dollar, which makes it a literal text, and what is between the braces."""
_NESTED = re.compile(r"(?<!\$)\$\{[^{}]*\$\{[^{}]*")
_VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_SECRET_NAME = re.compile(r"(?i)(?:key|token|secret|password|passwd|pat|credentials?|authorization|cookie|pass)s?$")
_SECRET_LENGTH = 8  # shorter values under such names are more likely settings (`AUTH_TOKEN: none`) than secrets
_NAMED_FIELDS = ("env", "headers")
JSON_FIELDS = (*_NAMED_FIELDS, "apiKey")
"""Where agent.json fills in inputs."""


@dataclass(frozen=True, slots=True)
class Spot:
    """One text of a definition that may hold placeholders.

    Attributes:
        key: Its path: `servers.hub.headers.Authorization`.
        field: The key it belongs to: `headers`, `command`, `apiKey`, `prompt`, ...
        name: Name of the header or environment variable, "" elsewhere.
        legacy: It stands in an agent.json server of the nested form.
    """

    key: str
    field: str
    name: str = ""
    legacy: bool = False


Change = Callable[[Spot, str], str]


def resolve_inputs(
    definition: AgentDefinition,
    *,
    values: Mapping[str, str] | None = None,
    env: Mapping[str, str] = os.environ,
    ask: Callable[[InputDefinition], str] | None = None,
    warn: Callable[[str], None] = log.warning,
    workspace: Path | None = None,
    keeper: Keeper | None = None,
    remember: bool = False,
) -> AgentDefinition:
    """`definition` with every placeholder replaced, and with the secrets it now contains.

    A value comes from `values`, else from the environment (the input's `env`, or its id in capitals with `_` for `-`), else
    from `keeper`, else from `ask`, else from the input's default. White space around it is cut; a blank value is none.

    Args:
        values: Input id -> value, from the command line.
        ask: Asks the person for one input; not called for inputs that nothing uses. None where nobody can be asked.
        warn: Told what is odd but no error, one sentence at a time.
        workspace: What `${workspaceFolder}` stands for; the current folder unless given.
        keeper: Remembers values of passwords and of inputs that say `store`; see `input_values.Keyring`.
        remember: Have it keep everything that is given or typed.
    Raises:
        ConfigError: agent.yaml: an input or a variable has no value, or a placeholder isn't one. Both formats: a value
            for an input that the definition doesn't have; a filled-in value that can't be used where it goes.
    """
    values = values or {}
    known = {declared.id for declared in definition.inputs}
    below = {id for agent in definition.tools.agents for id in _all_ids(agent.loaded)}
    for id in values:
        if id not in known | below:
            raise _unknown_value(definition, id)
    sources = Sources(definition, {id: text for id, text in values.items() if id in known}, env, ask, keeper, remember)
    run = _Resolution(definition, sources, env, warn, workspace or Path.cwd())
    resolved = with_env_files(run.strict() if definition.strict else run.lenient(), run.workspace)
    _check_filled_in(resolved)
    check_working_folders(resolved, run.workspace)
    resolved = _with_roots(resolved, run) if definition.strict else resolved
    check_task_folders(resolved, run.workspace)
    secrets = run.secrets | set(_secrets_in(resolved))

    def of_agent(agent: SubagentDefinition) -> SubagentDefinition:
        theirs = {id: text for id, text in values.items() if id in _all_ids(agent.loaded)}
        inner = resolve_inputs(
            agent.loaded,
            values=theirs,
            env=env,
            ask=ask,
            warn=warn,
            workspace=workspace,
            keeper=keeper,
            remember=remember,
        )
        secrets.update(inner.secrets)
        return replace(agent, definition=inner)

    agents = tuple(of_agent(agent) for agent in resolved.tools.agents)
    return replace(resolved, tools=replace(resolved.tools, agents=agents), secrets=frozenset(secrets))


def _all_ids(definition: AgentDefinition) -> set[str]:
    """The inputs of a definition and of its agents."""
    ids = {declared.id for declared in definition.inputs}
    return ids.union(*(_all_ids(agent.loaded) for agent in definition.tools.agents))


def placeholders(definition: AgentDefinition) -> Iterator[tuple[Spot, str]]:
    """Every placeholder that `resolve_inputs` would replace: where, and what is between the braces."""
    found: list[tuple[Spot, str]] = []

    def note(spot: Spot, text: str) -> str:
        for escaped, inner in PLACEHOLDER.findall(text):
            wanted = not escaped if definition.strict else _fits_json(spot, inner)
            if wanted:
                found.append((spot, inner))
        return text

    change_texts(definition, note)
    yield from found


def used_inputs(definition: AgentDefinition) -> dict[str, list[Spot]]:
    """Input id -> where it is used."""
    used: dict[str, list[Spot]] = {}
    for spot, inner in placeholders(definition):
        kind, _, id = inner.partition(":")
        if kind == "input" and id:
            used.setdefault(id, []).append(spot)
    return used


def placeholder_problems(definition: AgentDefinition) -> list[ConfigError]:
    """What is wrong with the placeholders of an agent.yaml, whatever fills them in; agent.json takes any text."""
    declared = {item.id: item for item in definition.inputs}
    problems: dict[str, ConfigError] = {}  # each input once
    for spot, inner in placeholders(definition) if definition.strict else ():
        if (problem := _placeholder_problem(declared, spot, inner)) is not None:
            problems.setdefault(inner if inner.startswith("input:") else spot.key, definition.error(spot.key, problem))

    def note(spot: Spot, text: str) -> str:
        if spot.field != "prompt" and (found := _NESTED.search(text)):
            problem = f"{found[0]}...}} has a placeholder in a placeholder, which is not filled in"
            problems.setdefault(f"{spot.key} nested", definition.error(spot.key, problem))
        return text

    if definition.strict:
        change_texts(definition, note)
    return list(problems.values())


def _placeholder_problem(declared: Mapping[str, InputDefinition], spot: Spot, inner: str) -> str | None:
    kind, _, id = inner.partition(":")
    if kind == "input" and id:
        return None if id in declared else _undeclared(id, declared)
    if _VARIABLE.fullmatch(inner) or inner in _FOLDERS or (spot.field == "prompt" and kind not in ("input", "env")):
        return None
    return _not_a_placeholder(inner)


def _fits_json(spot: Spot, inner: str) -> bool:
    return spot.field in JSON_FIELDS and inner.startswith("input:")


def _unknown_value(definition: AgentDefinition, id: str) -> ConfigError:
    known = sorted(_all_ids(definition))
    listed = f"; it has {', '.join(known)}" if known else "; it has none"
    return ConfigError(
        f"a value was given for the input {id!r}, which the definition doesn't have{did_you_mean(id, known) or listed}",
        path=definition.path,
    )


@dataclass
class _Resolution:
    """One run of `resolve_inputs`: its arguments, and the secrets met on the way."""

    definition: AgentDefinition
    sources: Sources
    env: Mapping[str, str] = field(repr=False)
    warn: Callable[[str], None]
    workspace: Path
    secrets: set[str] = field(default_factory=set)

    # ---- agent.yaml

    def strict(self) -> AgentDefinition:
        raise_together(placeholder_problems(self.definition))
        used = used_inputs(self.definition)
        declared = {item.id: item for item in self.definition.inputs}
        for spot, inner in placeholders(self.definition):  # before anybody is asked for anything
            self._expanded(spot, inner, dict.fromkeys(used, ""))
        self._warn_of_unused(used)
        found = {id: self.sources.value_of(item) for id, item in declared.items() if id in used}
        missing = [declared[id] for id, value in found.items() if value is None]
        if missing:
            raise self.definition.error(used[missing[0].id][0].key, _missing_inputs(missing))
        texts = {id: value for id, value in found.items() if value is not None}
        self._note_passwords(texts)

        def expand(spot: Spot, text: str) -> str:
            def replacement(match: re.Match[str]) -> str:
                escaped, inner = match.groups()
                return match[0][1:] if escaped else self._expanded(spot, inner, texts)

            return PLACEHOLDER.sub(replacement, text)

        return change_texts(self.definition, expand)

    def _expanded(self, spot: Spot, inner: str, inputs: Mapping[str, str]) -> str:
        """What `${inner}` at `spot` stands for."""
        kind, _, id = inner.partition(":")
        if kind == "input" and id:
            return inputs[id]
        if variable := _VARIABLE.fullmatch(inner):
            return self._variable(spot, variable[1], variable[2])
        if inner in _FOLDERS:
            return _FOLDERS[inner](self)
        return f"${{{inner}}}"  # a prompt may well speak of ${...}; elsewhere it was refused

    def _variable(self, spot: Spot, name: str, default: str | None) -> str:
        value = self.env.get(name)
        if default is not None and not value:
            return default
        if value is None:
            problem = (
                f"the environment variable {name} is not set: set it, or write ${{env:{name}:-DEFAULT}} to do without"
            )
            raise self.definition.error(spot.key, problem)
        if _SECRET_NAME.search(name):
            self.secrets.add(value)
        return value

    # ---- agent.json

    def lenient(self) -> AgentDefinition:
        used = used_inputs(self.definition)
        declared = {item.id: item for item in self.definition.inputs}
        texts: dict[str, str | None] = {}
        for id, spots in used.items():
            if id not in declared:
                self.warn(f"{self._file()}: ${{input:{id}}} names no input of the definition; it is left as it stands")
                continue
            covered = all(spot.legacy and self.env.get(spot.name, "").strip() for spot in spots)
            texts[id] = self.sources.value_of(declared[id], may_ask=not covered)
        self._warn_of_unused(used)
        self._note_passwords({id: value for id, value in texts.items() if value})

        def expand(spot: Spot, text: str) -> str:
            if spot.field not in JSON_FIELDS:
                return text
            return PLACEHOLDER.sub(lambda match: self._filled(spot, match, texts), text)

        return change_texts(self.definition, expand)

    def _filled(self, spot: Spot, match: re.Match[str], inputs: Mapping[str, str | None]) -> str:
        kind, _, id = match[2].partition(":")
        if kind != "input" or id not in inputs:
            return match[0]
        value = inputs[id]
        if value is None and spot.legacy:  # the nested form looked for a variable named like the header or variable
            value = self.env.get(spot.name, "").strip() or None
        if value is None:
            self.warn(f"{self._file()}: {spot.key}: the input {id!r} has no value; an empty text is used")
        return match[1] + (value or "")

    # ---- both

    def _file(self) -> str:
        return str(self.definition.path or self.definition.name)

    def _warn_of_unused(self, used: Mapping[str, list[Spot]]) -> None:
        for item in self.definition.inputs:
            if item.id not in used:
                self.warn(f"{self._file()}: nothing uses the input {item.id!r}; it is not asked for")

    def _note_passwords(self, texts: Mapping[str, str]) -> None:
        self.secrets.update(texts[item.id] for item in self.definition.inputs if item.password and texts.get(item.id))


def _agent_dir(run: _Resolution) -> str:
    path = run.definition.path
    return str(path.absolute().parent if path is not None else run.workspace)


def _with_roots(definition: AgentDefinition, run: _Resolution) -> AgentDefinition:
    """Folders that servers are told of are relative to the definition."""

    def absolute(server: ServerDefinition) -> ServerDefinition:
        roots = server.options.get("roots")
        if roots is None:
            return server
        folder = Path(_agent_dir(run))
        found = tuple(os.path.normpath(folder / Path(root).expanduser()) for root in roots)
        _note_missing(definition, child_key(server.key, "roots"), found, run)
        return replace(server, options={**server.options, "roots": found})

    own = Path(_agent_dir(run))
    folders = tuple(os.path.normpath(own / Path(folder).expanduser()) for folder in definition.tools.folders)
    _note_missing(definition, "tools.folders", folders, run)
    return replace(
        definition,
        servers=tuple(absolute(server) for server in definition.servers),
        tools=replace(definition.tools, folders=folders),
    )


def _note_missing(definition: AgentDefinition, key: str, folders: Iterable[str], run: _Resolution) -> None:
    """Say which folders aren't there: somebody may still make them."""
    for n, folder in enumerate(folders):
        if not os.path.isdir(folder):
            run.warn(str(definition.error(child_key(key, n), f"there is no folder {folder}")))


_FOLDERS: Mapping[str, Callable[[_Resolution], str]] = {
    "agentDir": _agent_dir,
    "workspaceFolder": lambda run: str(run.workspace.absolute()),
    "python": lambda run: sys.executable,
}


def _undeclared(id: str, declared: Mapping[str, InputDefinition]) -> str:
    if hint := did_you_mean(id, declared):
        return f"${{input:{id}}} names no input of the definition{hint}"
    return f"${{input:{id}}} names no input of the definition: add one with `id: {id}` to `inputs`"


def _missing_inputs(missing: list[InputDefinition]) -> str:
    first, *others = missing
    purpose = f" ({first.description.rstrip('.')})" if first.description else ""
    problem = (
        f"the input {first.id!r}{purpose} has no value: set the environment variable {first.variable}, "
        f"or pass --input {first.id}=VALUE"
    )
    if others:
        problem += "; also without a value: " + ", ".join(f"{item.id!r} ({item.variable})" for item in others)
    return problem


def _not_a_placeholder(inner: str) -> str:
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(:-.*)?", inner):
        near = did_you_mean(inner, _FOLDERS) or f" (did you mean ${{env:{inner}}}?)"
        return f"${{{inner}}} is no placeholder{near}; $${{...}} is a literal ${{...}}"
    known = "${input:ID}, ${env:NAME}, ${env:NAME:-DEFAULT}, ${agentDir}, ${workspaceFolder} and ${python}"
    return f"${{{inner}}} is no placeholder; there are {known}; $${{...}} is a literal ${{...}}"


# ---- the texts of a definition


def change_texts(definition: AgentDefinition, change: Change) -> AgentDefinition:
    """`definition` with `change` applied to every text that may hold placeholders."""

    def optional(field: str, text: str | None) -> str | None:
        return None if text is None else change(Spot(field, field), text)

    return replace(
        definition,
        model=optional("model", definition.model),
        fallback_models=tuple(
            change(Spot(child_key("model", n), "model"), text) for n, text in enumerate(definition.fallback_models, 1)
        ),
        provider=optional("provider", definition.provider),
        endpoint_url=optional("endpointUrl", definition.endpoint_url),
        api_key=optional("apiKey", definition.api_key),
        # The text of a prompt file is taken as it is: it is prose that other programs read, too.
        prompt=optional("prompt", definition.prompt) if definition.prompt_file is None else definition.prompt,
        servers=tuple(_change_server(server, change) for server in definition.servers),
        tools=_change_tools(definition.tools, change),
    )


def _change_tools(tools: ToolsDefinition, change: Change) -> ToolsDefinition:
    def of_task(task: TaskDefinition) -> TaskDefinition:
        if task.model is None:
            return task
        return replace(task, model=change(Spot(child_key(task.key, "model"), "model"), task.model))

    folders = (change(Spot(f"tools.folders[{n}]", "folders"), text) for n, text in enumerate(tools.folders))
    return replace(tools, tasks=tuple(map(of_task, tools.tasks)), folders=tuple(folders))


def _change_server(server: ServerDefinition, change: Change) -> ServerDefinition:
    params: dict[str, Any] = {}
    for name, value in server.params.items():
        key = child_key(server.key, name)
        if isinstance(value, str):
            params[name] = change(Spot(key, name, "", server.legacy), value)
        elif isinstance(value, tuple):
            params[name] = tuple(
                change(Spot(child_key(key, n), name, "", server.legacy), text) for n, text in enumerate(value)
            )
        elif isinstance(value, dict):
            params[name] = {
                k: change(Spot(child_key(key, k), name, k, server.legacy), text) if isinstance(text, str) else text
                for k, text in value.items()
            }
        else:
            params[name] = value
    options = dict(server.options)
    if "roots" in options:
        key = child_key(server.key, "roots")
        options["roots"] = tuple(
            change(Spot(child_key(key, n), "roots"), text) for n, text in enumerate(options["roots"])
        )
    return replace(server, params=params, options=options)


def _check_filled_in(definition: AgentDefinition) -> None:
    """Values from outside can be wrong where the definition was right: a URL without a scheme, a token with a line end."""

    def check(spot: Spot, text: str) -> str:
        if "\0" in text:
            raise definition.error(spot.key, "contains a NUL character, which no program accepts")
        problem = _PROBLEMS[spot.field](text) if spot.field in _PROBLEMS else None
        if problem is not None:
            raise definition.error(spot.key, f"{problem} (once the placeholders are filled in)")
        return text

    change_texts(definition, check)


_PROBLEMS: Mapping[str, Callable[[str], str | None]] = {  # without the text itself, which may be secret
    "url": lambda text: None if is_address(text) else NO_ADDRESS,
    "endpointUrl": lambda text: None if is_address(text) else NO_ADDRESS,
    "headers": lambda text: NO_HEADER if has_line_break(text) else None,
    "command": lambda text: None if text.strip() else "is empty",
    "roots": lambda text: None if text.strip() else "is empty",
    "folders": lambda text: None if text.strip() else "is empty",
}


def _secrets_in(definition: AgentDefinition) -> Iterator[str]:
    """The API key, and headers and environment variables with a name that says they are secret."""
    if definition.api_key:
        yield definition.api_key
    for server in definition.servers:
        auth = server.params.get("auth")
        if isinstance(auth, dict):
            yield from (auth[name] for name in ("client_secret", "private_key", "assertion") if name in auth)
        for part in _NAMED_FIELDS:
            for name, value in server.params.get(part, {}).items():
                secret = value.rpartition(" ")[2]  # without the word Bearer
                if _SECRET_NAME.search(name) and len(secret) >= _SECRET_LENGTH:
                    yield secret
