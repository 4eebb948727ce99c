"""The slash commands, in one table, and what was typed -> which one is meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tiny_agents.cli.slash import about, conversation, saved, serving
from tiny_agents.cli.slash.talk import Run, SlashCommand, Talk
from tiny_agents.errors import UsageError

HELP_COLUMN = 32
BESIDE = 70
"""Columns of a terminal from which on a command's help stands beside it."""

_NAME = re.compile(r"/([^\s/]*)(?:\s+|$)")


async def _help(talk: Talk, arguments: str) -> Run | None:
    """All commands, or one."""
    if arguments:
        command = find(arguments.removeprefix("/"))
        talk.say(f"/{command.name} {command.arguments}".rstrip(), f"  {command.help}")
        return None
    beside = talk.screen.aside.columns >= BESIDE
    for command in COMMANDS.values():
        usage = f"/{command.name} {command.arguments}".rstrip()
        if beside:
            talk.say(f"{usage:<{HELP_COLUMN - 2}}  {command.help}", hang=HELP_COLUMN)
        else:
            talk.say(usage, f"    {command.help}")
    talk.aside("// begins a text that starts with a slash; Tab completes; @file attaches a file.")
    return None


async def _names(_: Talk) -> list[str]:
    return list(COMMANDS)


_ALL = (
    SlashCommand("help", "[NAME]", "what there is to type", _help, _names),
    *serving.COMMANDS,
    *about.COMMANDS,
    *conversation.COMMANDS,
    *saved.COMMANDS,
    about.QUIT,
)

COMMANDS: Mapping[str, SlashCommand] = {command.name: command for command in _ALL}
_OTHER_NAMES = {"exit": "quit", "q": "quit", "?": "help"}


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as it was typed; `name` may be none of ours."""

    name: str
    arguments: str


def parse(text: str) -> Typed | None:
    """The command in `text`; None where it is a text for the model.

    A path such as /etc/hosts begins with a slash, and is no command.
    """
    found = _NAME.match(text.strip())
    if found is None:
        return None
    return Typed(found[1], text.strip()[found.end() :].strip())


def as_text(text: str) -> str:
    """A text for the model, without the second slash that says that it is one."""
    return text[1:] if text.startswith("//") else text


def find(name: str) -> SlashCommand:
    """The command of that name.

    Raises:
        UsageError: There is none; the message has the nearest.
    """
    command = COMMANDS.get(_OTHER_NAMES.get(name, name))
    if command is not None:
        return command
    starting = [known for known in COMMANDS if name and known.startswith(name)]
    near = starting or difflib.get_close_matches(name, COMMANDS, n=2)
    hint = f"did you mean {' or '.join(f'/{other}' for other in near[:3])}?" if near else "/help shows those there are."
    raise UsageError(f"there is no command /{name}: {hint} (To send it as text, write a second slash before it.)")
