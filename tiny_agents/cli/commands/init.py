"""`tiny-agents init`: a new agent in a folder, from a few answers or from flags alone. Overwrites nothing."""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tiny_agents.agent.definition.validation import validate_definition
from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import leave_by_exception
from tiny_agents.cli.new_agent import KNOWN_SERVERS, PROMPT_FILE, NewAgent, agent_yaml, entry_of
from tiny_agents.cli.prompt.prompts import ask_line, is_terminal
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.servers import named_server
from tiny_agents.errors import TinyAgentsError, UsageError
from tiny_agents.inference.settings import is_url

FILE = "agent.yaml"
DEFINITIONS = ("agent.yaml", "agent.yml", "agent.json", "agent.md")
_UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents init`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    folder = Path(arguments.folder).expanduser()
    _require_free(folder, arguments.prompt_file)
    asks = is_terminal(sys.stdin) and is_terminal(sys.stderr) and not arguments.yes
    agent = _asked(arguments, folder) if asks else _given(arguments, folder)
    files = {FILE: agent_yaml(agent)}
    if agent.prompt_file:
        files[PROMPT_FILE] = agent.prompt_text
    warnings = _validated(files)
    _write(folder, files)
    for warning in warnings:
        reporter.warning(warning)
    for name in files:
        sys.stdout.write(f"{one_line(str(folder / name))}\n")
    shown = str(folder) if folder.is_absolute() or str(folder) == "." else f"./{folder}"
    reporter.notice(f"Talk to it with: tiny-agents run {shlex.quote(shown)}")
    return ExitCode.DONE


def _require_free(folder: Path, prompt_file: bool) -> None:
    """Raise UsageError if anything would be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    for name in (*DEFINITIONS, *([PROMPT_FILE] if prompt_file else [])):
        if (folder / name).exists():
            raise UsageError(f"{folder / name} is there already, and nothing is overwritten: name another folder")


# ---------------------------------------------------------------- what it is to be


def _given(arguments: Namespace, folder: Path) -> NewAgent:
    """From the flags alone."""
    _require_one_place(arguments.base_url, arguments.provider)
    return NewAgent(
        name=arguments.name or _name_of(folder),
        purpose=" ".join((arguments.description or "").split()),
        prompt=arguments.prompt or "",
        model=arguments.model,
        provider=arguments.provider,
        base_url=arguments.base_url,
        servers=servers_of(arguments.server),
        prompt_file=arguments.prompt_file,
    )


def _asked(arguments: Namespace, folder: Path) -> NewAgent:
    """What no flag says is asked for; an empty answer takes what is in brackets."""
    given = _given(arguments, folder)
    name = arguments.name or ask_line(f"Name [{given.name}]:") or given.name
    purpose = given.purpose or ask_line("What is it for, in a line?")
    model = ModelSettings(given.model, given.provider, given.base_url)
    if model.model is None and model.place is None:
        said = ask_line("Which model, or the URL of an endpoint? [decided when it runs]")
        model = ModelSettings(base_url=said) if is_url(said) else ModelSettings(said or None)
        if model.base_url:
            model = ModelSettings(ask_line("The model's name there? [the endpoint has only one]") or None, None, said)
    servers = given.servers
    if not arguments.server:
        sys.stderr.write("Servers, which bring the tools:\n")
        for each, server in KNOWN_SERVERS.items():
            sys.stderr.write(f"  {each:8} {server.about}\n")
        servers = _ask_servers()
    return NewAgent(
        name, purpose, given.prompt, model.model, model.provider, model.base_url, servers, given.prompt_file
    )


def _ask_servers() -> dict[str, dict[str, Any]]:
    while True:
        said = ask_line("Which, by name? Also the URL of one. [none]")
        try:
            return servers_of(re.split(r"[\s,]+", said) if said else [])
        except UsageError as error:
            sys.stderr.write(f"  {one_line(str(error))}\n")


def _name_of(folder: Path) -> str:
    return _UNFIT.sub("-", folder.absolute().name).strip("-.") or "agent"


def _require_one_place(base_url: str | None, provider: str | None) -> None:
    if base_url and provider:
        raise UsageError("--provider and --base-url name two places; give one")


def servers_of(chosen: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Entries of `servers`: names from the list, commands in quotes, or URLs.

    Raises:
        UsageError: One that is none of these.
    """
    entries: dict[str, dict[str, Any]] = {}
    for text in filter(None, chosen):
        if text in KNOWN_SERVERS:
            entries[text] = dict(KNOWN_SERVERS[text].entry)
            continue
        server = named_server(text)
        if server is None:
            listed = ", ".join(KNOWN_SERVERS)
            raise UsageError(f"{text!r} is none of {listed}, no command in quotes and no URL")
        entry = entry_of(server)
        if server.type == "sse":
            entry = {"type": "sse", **entry}
        entries[_free_name(server.name, entries)] = entry
    return entries


def _free_name(name: str, taken: Iterable[str]) -> str:
    name = _UNFIT.sub("-", name).strip("-.") or "server"
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next(each for each in names if each not in taken)


# ---------------------------------------------------------------- writing it


def _validated(files: dict[str, str]) -> tuple[str, ...]:
    """Warnings about what would be written.

    Raises:
        UsageError: It would be no valid definition; a flag or an answer made it so.
    """
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), files)
        found = validate_definition(Path(folder))
    for error in found.errors:
        raise UsageError(f"nothing was written, as it would be no valid definition: {error.key}: {error.problem}")
    return found.warnings


def _write(folder: Path, files: dict[str, str]) -> None:
    """Write new files; what was written stays away where another can't be.

    Raises:
        TinyAgentsError: One can't be written, or is there by now.
    """
    written: list[Path] = []
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (folder / name).open("x", encoding="utf-8", newline="\n") as file:
                written.append(folder / name)
                file.write(text)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        if is_new:
            with contextlib.suppress(OSError):  # somebody put something into it
                folder.rmdir()
        raise TinyAgentsError(f"{error.filename or folder}: {error.strerror or error}; nothing was written") from error
