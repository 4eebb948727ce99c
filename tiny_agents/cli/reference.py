"""The command line as a page of documentation, made from its parser. Pure."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def reference(parser: argparse.ArgumentParser) -> str:
    """Every command with its arguments, flags and examples, as Markdown."""
    return "\n".join(line for name, command in commands_of(parser) for line in _section(name, command))


def commands_of(parser: argparse.ArgumentParser, prefix: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """All commands below `parser` with their full names, in the order of the help."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, command in action.choices.items():
                yield f"{prefix}{name}", command
                yield from commands_of(command, f"{prefix}{name} ")


def _section(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    level = "###" if " " in name else "##"
    yield f"{level} {name}"
    yield ""
    yield (command.description or "").replace("\n", " ")
    yield ""
    yield f"`tiny-agents {name}{_usage(command)}`"
    yield ""
    rows = [row for action in command._actions if (row := _row(action)) is not None]
    if rows:
        yield from ("| | |", "|---|---|", *rows, "")
    if command.epilog:
        yield from ("```", command.epilog.rstrip(), "```", "")


def _usage(command: argparse.ArgumentParser) -> str:
    words = []
    flags = any(action.option_strings and action.dest != "help" for action in command._actions)
    for action in command._actions:
        if action.option_strings:
            continue
        metavar = _metavar(action)
        repeated = " ..." if action.nargs in ("+", "*") else ""
        optional = action.nargs in ("?", "*")
        words.append(f" [{metavar}{repeated}]" if optional else f" {metavar}{repeated}")
    return "".join(words) + (" [FLAGS]" if flags else "")


def _row(action: argparse.Action) -> str | None:
    if action.dest == "help" or isinstance(action, argparse._SubParsersAction):
        return None
    if action.option_strings:
        value = "" if action.nargs == 0 else f" {_metavar(action)}"
        name = ", ".join(f"`{flag}{value}`" for flag in action.option_strings)
    else:
        name = f"`{_metavar(action)}`"
    text = (action.help or "").replace("%%", "%")
    return f"| {name} | {text} |".replace("\n", " ")


def _metavar(action: argparse.Action) -> str:
    if action.metavar is not None:
        return str(action.metavar)
    if action.choices is not None:
        return ",".join(map(str, action.choices))
    return action.dest.upper()
