"""What running a definition means for this machine: what has to be installed, and what it will start, call and read."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from tiny_agents.agent.definition.inputs import placeholders
from tiny_agents.agent.definition.types import AgentDefinition, ServerDefinition, TaskDefinition
from tiny_agents.errors import redact, redact_addresses, without
from tiny_agents.inference.settings import is_url
from tiny_agents.mcp_client.connection.credentials import credentials_of
from tiny_agents.mcp_client.connection.servers import HttpServer, StdioServer

_COMES_WITH = {
    **dict.fromkeys(("npx", "npm", "node"), "it comes with Node.js, see https://nodejs.org"),
    **dict.fromkeys(("uvx", "uv"), "it comes with uv, see https://docs.astral.sh/uv"),
    "docker": "see https://docs.docker.com/get-started/get-docker",
    "podman": "see https://podman.io",
    "deno": "see https://deno.com",
    **dict.fromkeys(("bun", "bunx"), "it comes with Bun, see https://bun.sh"),
    **dict.fromkeys(("pnpm", "pnpx"), "it comes with pnpm, see https://pnpm.io"),
    "pipx": "see https://pipx.pypa.io",
    **dict.fromkeys(("python", "python3"), "in agent.yaml, ${python} is the interpreter that runs tiny-agents"),
}
_MODULE_EXTRAS = {"mcp_server_time": "demo"}


def missing_requirements(
    definition: AgentDefinition,
    *,
    which: Callable[..., str | None] = shutil.which,
    find_module: Callable[[str], Any] = find_spec,
) -> list[str]:
    """What the definition's servers need and this machine lacks, a sentence each; empty if all is there.

    Only what can be known without starting anything: whether commands are on the PATH, and whether the modules that our own
    interpreter is to run are installed. Works before and after the inputs are resolved.
    """
    return [problem for server in definition.servers if (problem := _missing(server, which, find_module))]


def _missing(
    server: ServerDefinition, which: Callable[..., str | None], find_module: Callable[[str], Any]
) -> str | None:
    if server.type != "stdio":
        return None
    command, args = server.params["command"], server.params.get("args", ())
    if command in ("${python}", sys.executable):
        return _missing_module(server.name, args, find_module)
    if "${" in command or which(command, path=server.params.get("env", {}).get("PATH")) is not None:
        return None
    if re.search(r"[\\/]", command):
        # A relative path counts from the server's own working directory, which may not be ours.
        if "cwd" in server.params and not re.match(r"[\\/]|[A-Za-z]:", command):
            return None
        return f"the server {server.name!r} is started with {command!r}, which is no program that can be run"
    problem = f"the server {server.name!r} is started with {command!r}, which is not on the PATH"
    if (source := _COMES_WITH.get(command)) is not None:
        return f"{problem}; {source}"
    first, *rest = command.split()
    if rest and which(first) is not None:
        return f"{problem}; `command` is the program alone, {first!r}: what follows belongs into `args`"
    return f"{problem}; install it, or give its full path"


def _missing_module(name: str, args: tuple[str, ...], find_module: Callable[[str], Any]) -> str | None:
    if len(args) < 2 or args[0] != "-m" or "${" in args[1]:
        return None
    module = args[1].partition(".")[0]
    if find_module(module) is not None:
        return None
    extra = _MODULE_EXTRAS.get(module)
    package = shlex.quote(f"tiny-agents[{extra}]") if extra is not None else module.replace("_", "-")
    return f"the server {name!r} needs the Python module {module}, which is not installed: pip install {package}"


def commands_and_hosts(definition: AgentDefinition) -> list[str]:
    """Everything a definition will start, call and read, in full: what a person has to see before trusting it.

    Placeholders are shown as they stand where the inputs aren't resolved yet, which is the time to ask. Keys are masked, and
    characters that a terminal would obey or hide are shown as escapes. In the user's own definitions, passwords in addresses
    and what stands under the name of a key are masked too; not in downloaded ones, where a command could hide there.
    """
    lines = [redact(line, definition.secrets) for line in _consequences(definition)]
    if not definition.downloaded:
        hidden = sorted(_named_secrets(definition), key=len, reverse=True)
        lines = [redact_addresses(without(line, hidden)) for line in lines]
    return [_visible(line) for line in lines]


def _named_secrets(definition: AgentDefinition) -> Iterator[str]:
    """What stands in the file itself under the name of a key, of it and of the agents that are its tools."""
    for server in definition.servers:
        given = server.params
        described = (
            StdioServer(given["command"], tuple(given.get("args", ())), given.get("env", {}))
            if server.type == "stdio"
            else HttpServer(given["url"], given.get("headers", {}))
        )
        yield from (secret for secret in credentials_of(described) if "${" not in secret)
    for agent in definition.tools.agents:
        yield from _named_secrets(agent.loaded)


def missing_of_agents(definition: AgentDefinition) -> list[str]:
    """The same of the agents that are tools of this one."""
    return [
        f"the agent {agent.tool!r}: {problem}"
        for agent in definition.tools.agents
        for problem in (*missing_requirements(agent.loaded), *missing_of_agents(agent.loaded))
    ]


def _consequences(definition: AgentDefinition) -> Iterator[str]:
    yield from _own_consequences(definition)
    for agent in definition.tools.agents:
        yield f"uses as a tool the agent: {agent.ref}"
        yield from (f"the agent {agent.tool!r} {line}" for line in _consequences(agent.loaded))


def _own_consequences(definition: AgentDefinition) -> Iterator[str]:
    for server in definition.servers:
        if server.type == "stdio":
            yield f"runs the command: {_command_line(server)}"
            if "envFile" in server.params:
                yield f"reads its variables from the file: {server.params['envFile']}"
        else:
            headers = ", ".join(server.params.get("headers", {}))
            yield f"connects to: {server.params['url']}" + (f" (with the headers {headers})" if headers else "")
            auth = server.params.get("auth")
            if isinstance(auth, dict) and "assertion_file" in auth:
                yield f"logs in there with the content of the file: {auth['assertion_file']}"
    if definition.endpoint_url is not None:
        yield f"sends the conversation to: {definition.endpoint_url}"
    for model in (definition.model, *definition.fallback_models):
        if model is not None and is_url(model) and definition.endpoint_url is None:
            yield f"sends the conversation to: {model}"
    for file in definition.tools.python:
        yield f"runs the Python file, inside this program: {file.name}"
    for task in definition.tools.tasks:
        yield f"sends what the model writes for {task.task} to: {_task_place(definition, task)}"
    for folder in definition.tools.folders if definition.tools.tasks else ():
        yield f"lets these tasks read files in: {folder}"
    for folder_of_skills in definition.skills:
        yield f"reads skills in: {folder_of_skills.name}"
    variables = sorted(set(_variables(definition)))
    if variables:
        yield f"reads from the environment, if set: {', '.join(variables)}"


def _task_place(definition: AgentDefinition, task: TaskDefinition) -> str:
    if task.model is not None and is_url(task.model):
        return task.model
    own = definition.provider if definition.endpoint_url is None and definition.provider != "local" else None
    return f"the inference provider {task.provider or own or 'auto'}"


def _command_line(server: ServerDefinition) -> str:
    """As a shell would take it: `cd FOLDER && NAME=value command args`."""
    settings = [f"{name}={shlex.quote(value)}" for name, value in server.params.get("env", {}).items()]
    words = [*settings, *map(shlex.quote, (server.params["command"], *server.params.get("args", ())))]
    folder = server.params.get("cwd")
    return (f"cd {shlex.quote(folder)} && " if folder is not None else "") + " ".join(words)


def _variables(definition: AgentDefinition) -> Iterator[str]:
    inputs = {item.id: item for item in definition.inputs}
    for spot, inner in placeholders(definition):
        kind, _, name = inner.partition(":")
        if kind == "env":
            yield name.partition(":-")[0]
        elif kind == "input" and name in inputs:
            yield inputs[name].variable
            if spot.legacy:
                yield spot.name


def _visible(text: str) -> str:
    """`text` with everything that a terminal wouldn't simply show, or that a reader couldn't see, as an escape."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
